#!/usr/bin/env node
// Starts the tool: compiled in the package, as TypeScript in the checkout. Runs on any Node, to refuse an old one in words.
import { existsSync } from 'node:fs'

const compiled = new URL('../dist/bin/pybundle.js', import.meta.url)
const source = new URL('./pybundle.ts', import.meta.url)
const isCheckout = existsSync(source)

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const isNewEnough = isCheckout
  ? major > 23 || (major === 22 && minor >= 18) || (major === 23 && minor >= 6)
  : major >= 22

if (!isNewEnough) {
  const needed = isCheckout ? '22.18' : '22'
  const remedy = isCheckout
    ? 'npm ci installs one for this checkout: use "npx pybundle", or'
    : 'use a newer one, or'
  console.error(
    `pybundle needs Node ${needed} or later, and this is ${process.versions.node}: ${remedy} see https://nodejs.org`,
  )
  process.exit(1)
}

await import((isCheckout ? source : compiled).href)
