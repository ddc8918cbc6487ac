import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { execa } from 'execa'
import { onTestFinished } from 'vitest'
import { normalizeName } from '../../lib/bundle/wheel.ts'
import { type PackageOptions, writePackage } from './local-package.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** A package index (PEP 503) on loopback, with real wheels; serves until the test has ended. */
export async function startIndex(
  packages: readonly PackageOptions[],
  sources: readonly PackageOptions[] = [],
) {
  const folder = join(temporaryFolder(), 'wheels')
  mkdirSync(folder)
  for (const options of packages) await buildWheel(options, folder)
  for (const options of sources) await packSource(options, folder)
  const asked: string[] = []
  const server = createServer((request, response) => {
    const [, kind = '', name = ''] = (request.url ?? '').split('/')
    asked.push(request.url ?? '')
    const wheels = readdirSync(folder).filter((file) => normalizeName(file.split('-')[0] ?? '') === name)
    const file = join(folder, name)
    if (kind === 'files' && existsSync(file)) return response.end(readFileSync(file))
    if (wheels.length === 0) return response.writeHead(404).end()
    const links = wheels.map((file) => `<a href="/files/${file}">${file}</a>`)
    return response
      .setHeader('content-type', 'text/html')
      .end(`<!DOCTYPE html><html><body>${links.join('')}</body></html>`)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/simple`, folder, asked }
}

/** An sdist. */
export async function packSource(options: PackageOptions, folder: string): Promise<string> {
  const { name, version = '1.0' } = options
  const cwd = temporaryFolder()
  const top = `${name}-${version}`
  writePackage(join(cwd, top), options)
  writeFileSync(join(cwd, top, 'PKG-INFO'), `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n`)
  await execa('tar', ['-czf', join(folder, `${top}.tar.gz`), top], { cwd })
  return join(folder, `${top}.tar.gz`)
}

/** Without pip: only its front end is slow. */
export async function buildWheel(options: PackageOptions, folder: string): Promise<void> {
  const cwd = writePackage(join(temporaryFolder(), options.name), options)
  const build = 'import sys; sys.path.insert(0, "_backend"); import backend; backend.build_wheel(sys.argv[1])'
  await execa('python3', ['-c', build, folder], { cwd })
}
