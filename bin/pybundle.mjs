#!/usr/bin/env node
// Starts the tool: compiled in the package, as TypeScript in the checkout. Runs on any Node, to refuse an old one in words.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const compiled = new URL('../dist/bin/pybundle.js', import.meta.url)
const source = new URL('./pybundle.ts', import.meta.url)
const isCheckout = existsSync(source)

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const isNewEnough = isCheckout
  ? major > 23 || (major === 22 && minor >= 18) || (major === 23 && minor >= 6)
  : major >= 22

if (!isNewEnough) {
  const needed = isCheckout ? '22.18' : '22'
  const checkout = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
  const remedy = isCheckout
    ? `npm ci installs one in the checkout, and npm uses it: npm --prefix ${checkout} run COMMAND -- OPTIONS`
    : 'install a newer one: https://nodejs.org'
  console.error(`pybundle needs Node ${needed} or later, and this is ${process.versions.node}: ${remedy}`)
  process.exit(1)
}

await import((isCheckout ? source : compiled).href)
