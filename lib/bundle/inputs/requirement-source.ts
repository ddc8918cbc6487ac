import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sha256 } from '../../release/digest.ts'
import { parseVcs } from '../build/vcs.ts'
import { fillVariables } from '../credentials.ts'
import { parseWheelName } from '../wheel.ts'
import type { LocalSource, Requirements } from './requirements.ts'

/** Whether pip takes the line for a path: what has a slash, or the name of an archive. */
export function isPath(text: string): boolean {
  return /^(file:|\.{1,2}($|[[\s])|[^\s;[=<>!~]*\/)/.test(text) || LOCAL_ARCHIVE.test(text)
}

const LOCAL_ARCHIVE = /^[^\s;[]+\.(whl|tar\.(gz|bz2|xz)|tgz|zip)($|[[\s])/
const VCS = /^(git|hg|svn|bzr)\+/

export interface Named {
  /** Where it is written before the address: `name[extra] @ address`. */
  name?: string | undefined
  extras?: string | undefined
  folder: string
  /** The whole line. */
  text: string
}

/** Files an address; what is wrong with it otherwise. */
export function addUrl(found: Requirements, written: string, named: Named): string | undefined {
  const { name = '', extras = '', folder, text } = named
  if (written.startsWith('file:')) return addLocal(found, written, { folder, extras })
  const { subject: url, marker, hashes, options } = takeApart(written, /\s+;/)
  if (!/^[a-z+-]+:\/\/\S+$/.test(url)) return `"${text}" is not a requirement${hintOf(url, text)}`
  if (options.length > 0) return uselessOption(options)
  if (VCS.test(url)) {
    if (!parseVcs(url)) return vcsMistake(url)
    found.remote.push({ url, extras: extras || extrasOf(url), marker })
    return undefined
  }
  const file = basename(url.replace(/[?#].*$/, '')).replace(/%2B/gi, '+')
  if (!file.endsWith('.whl')) {
    found.remote.push({ url: [url, ...hashes].join(' --hash='), extras, marker })
    return undefined
  }
  const wheel = parseWheelName(file)
  if (!wheel) return `"${file}" is not the name of a wheel`
  found.names.push(name || wheel.name)
  found.lines.push(text)
  return undefined
}

/** Files a folder or an archive of this machine; what is wrong with it otherwise. */
export function addLocal(
  found: Requirements,
  text: string,
  { folder, extras = '' }: { folder: string; extras?: string },
): string | undefined {
  const { subject, marker, hashes, options } = takeApart(text, /\s*;/)
  if (options.length > 0) return uselessOption(options)
  const [, written = '', ownExtras = ''] = subject.match(/^(.*?)\s*(\[[^\]]*\])?$/) ?? []
  const path = localPath(written, folder)
  if (!path || !existsSync(path)) return `there is no "${written}"`
  const isFile = statSync(path).isFile()
  if (hashes.length > 0 && !isFile) return `"${written}" is a folder, which has no hash`
  if (hashes.length > 0 && !hashes.includes(`sha256:${sha256(readFileSync(path))}`)) {
    return `"${path}" has another sha256 than --hash says`
  }
  found.local.push({ path, extras: extras || ownExtras, marker } satisfies LocalSource)
  return undefined
}

/** Undefined for an address that is none of this machine. */
export function localPath(written: string, folder: string): string | undefined {
  const filled = fillVariables(written)
  if (!filled.startsWith('file://')) return resolve(folder, filled.replace(/^file:/, ''))
  try {
    const url = new URL(filled)
    const subdirectory = new URLSearchParams(url.hash.slice(1)).get('subdirectory')
    return join(fileURLToPath(url), subdirectory ?? '')
  } catch (error) {
    if (error instanceof TypeError || error instanceof URIError) return undefined
    throw error
  }
}

interface Parts {
  subject: string
  marker: string
  /** `sha256:...` */
  hashes: string[]
  /** Any others. */
  options: string[]
}

function takeApart(text: string, separator: RegExp): Parts {
  const [head = '', ...given] = text.split(/\s+(?=--[a-z])/)
  const at = head.search(separator)
  const [subject, marker] = at < 0 ? [head, ''] : [head.slice(0, at), head.slice(at).replace(/^\s*;/, '')]
  const hashes = given.flatMap((option) => option.match(/^--hash[\s=]\s*(\S+)$/)?.[1] ?? [])
  const options = given.filter((option) => !option.startsWith('--hash'))
  return { subject: subject.trim(), marker: marker.trim(), hashes, options }
}

function uselessOption(options: readonly string[]): string {
  return `"${options.join(' ')}" cannot be given to what is built here`
}

/** `#egg=name[extra]`, as it was written before `name[extra] @ url` was. */
function extrasOf(url: string): string {
  const fragment = url.replace(/%5B/gi, '[').replace(/%2C/gi, ',').replace(/%5D/gi, ']')
  return fragment.match(/#(?:.*&)?egg=[\w.-]+(\[[^\]]*\])/)?.[1] ?? ''
}

function vcsMistake(url: string): string {
  const what = /^(svn|bzr)/.test(url)
    ? 'only git and hg are checked out here'
    : 'not an address that can be read'
  return `"${url}": ${what}. Build its wheel (pip wheel --no-deps "${url}") and name that file instead.`
}

/** As git itself writes it: `git@host:path`. */
function hintOf(url: string, text: string): string {
  if (!/\w+@[\w.-]+:[\w~]/.test(`${url} ${text}`)) return ''
  return '; a repository is named by git+ssh://, with a "/" where git has the ":"'
}
