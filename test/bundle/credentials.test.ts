import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { maskCredentials, withoutCredentials } from '../../lib/bundle/credentials.ts'
import { makeBundle, useLaptop, writeApp } from './laptop.ts'
import { startIndex } from './package-index.ts'
import { temporaryFolder } from './temporary-folder.ts'

useLaptop()

/** In front of an index: only who knows the password gets in. */
async function startGuard(index: string) {
  const expected = `Basic ${Buffer.from('me:s3cret').toString('base64')}`
  const server = createServer(async (request, response) => {
    if (request.headers.authorization !== expected) {
      return response.writeHead(401, { 'www-authenticate': 'Basic realm="packages"' }).end()
    }
    const answer = await fetch(new URL(request.url ?? '', index))
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' })
    return response.end(Buffer.from(await answer.arrayBuffer()))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Every byte of the cache, which bundles are a part of, that could hold a secret. */
function cacheHolds(text: string): string[] {
  const cache = join(process.env.XDG_CACHE_HOME ?? '', 'pybundle')
  const files = readdirSync(cache, { recursive: true, encoding: 'utf8' }).map((name) => join(cache, name))
  return files.filter((file) => statSync(file).isFile() && readFileSync(file).includes(text))
}

describe('credentials', () => {
  it('come from variables in the requirements, and land neither in the bundle nor in the news', async () => {
    const host = await startGuard((await startIndex([{ name: 'alpha' }], [{ name: 'beta' }])).url)
    vi.stubEnv('INDEX_USER', 'me')
    vi.stubEnv('INDEX_PASSWORD', 's3cret')
    const login = ['$', '{INDEX_USER}:$', '{INDEX_PASSWORD}'].join('')
    const requirements = `--index-url http://${login}@${host}/simple\nalpha\nbeta @ http://${login}@${host}/files/beta-1.0.tar.gz\n`
    const { wheels, news } = await makeBundle(writeApp({ requirements }))
    expect(wheels).toEqual(['alpha-1.0-py3-none-any.whl', 'beta-1.0-py3-none-any.whl'])
    expect(news.join('\n')).not.toContain('s3cret')
    expect(cacheHolds('s3cret')).toEqual([])
  })

  it('come from netrc', async () => {
    const host = await startGuard((await startIndex([{ name: 'alpha' }])).url)
    const netrc = join(temporaryFolder(), 'netrc')
    writeFileSync(netrc, `machine ${host.split(':')[0]} login me password s3cret\n`, { mode: 0o600 })
    vi.stubEnv('NETRC', netrc)
    vi.stubEnv('PIP_INDEX_URL', `http://${host}/simple`)
    expect((await makeBundle(writeApp({ requirements: 'alpha # netrc\n' }))).wheels).toHaveLength(1)
    expect(cacheHolds('s3cret')).toEqual([])
  })

  it.each([
    'nothing\n--index-url http://me:s3cret@HOST/simple\n',
    'x @ http://me:s3cret@HOST/files/x-1.0.tar.gz\n',
    'x @ http://me:s3cret@HOST/files/x-1.0-py3-none-any.whl\n',
    'git+http://me:s3cret@HOST/x.git\n',
    'svn+http://me:s3cret@HOST/x\n',
    '-f http://me:s3cret@HOST/simple\n== 3 http://me:s3cret@HOST\n',
  ])('are in no error: %j', async (requirements) => {
    const host = await startGuard((await startIndex([])).url)
    const folder = writeApp({ requirements: requirements.replaceAll('HOST', host) })
    const error = await makeBundle(folder).catch((thrown) => thrown)
    expect(error).toBeInstanceOf(Error)
    expect(`${error.message} ${error.stack} ${error.cause?.stack}`).not.toContain('s3cret')
  })

  it('are taken out of addresses', () => {
    expect(maskCredentials('see https://me:pw@host/x and ssh://git@host')).toBe(
      'see https://****@host/x and ssh://****@host',
    )
    expect(maskCredentials("https://me:it's@3cret@host/x")).toBe('https://****@host/x')
    const signed = 'https://host/x?a=1&X-Amz-Signature=abc&X-Amz-Credential=d%2Fe'
    expect(maskCredentials(`403 for ${signed} there`)).toBe(
      '403 for https://host/x?a=1&X-Amz-Signature=****&X-Amz-Credential=**** there',
    )
    expect(withoutCredentials('https://me:pw@host/x')).toBe('https://host/x')
    expect(withoutCredentials('https://token@host/x')).toBe('https://host/x')
    expect(withoutCredentials('ssh://git@host/x')).toBe('ssh://git@host/x')
  })
})
