import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface Credentials {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
  expiration?: Date
}

export interface KnownSecret {
  secretAccessKey: string
  sessionToken?: string
  expiration?: Date
  principal: string
}

export interface CredentialStore {
  secretFor(accessKeyId: string): KnownSecret | undefined
  /**
   * Without a lifetime: a user's durable key, the same at every call. With one: a role's temporary key with a
   * session token, issued anew once less than half of its lifetime is left.
   */
  issue(principal: string, lifetimeSeconds?: number): Credentials
}

interface Entry {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
  expiration?: string
  principal: string
}

/** Keys live in `<directory>/credentials.json`, so that those handed out outlive a restart of the local cloud. */
export function openCredentialStore(directory: string): CredentialStore {
  const file = join(directory, 'credentials.json')
  let entries = readEntries(file)

  const add = (entry: Entry) => {
    entries = [...entries.filter((old) => !isExpired(old)), entry]
    writeEntries(file, entries)
    return entry
  }

  return {
    secretFor(accessKeyId) {
      const entry = entries.find((candidate) => candidate.accessKeyId === accessKeyId)
      return entry && { ...toCredentials(entry), principal: entry.principal }
    },
    issue(principal, lifetimeSeconds) {
      const known = entries.findLast(
        (entry) => entry.principal === principal && isFresh(entry, lifetimeSeconds),
      )
      return toCredentials(known ?? add(newEntry(principal, lifetimeSeconds)))
    },
  }
}

function isFresh(entry: Entry, lifetimeSeconds?: number): boolean {
  if (lifetimeSeconds === undefined || !entry.expiration) return !entry.expiration && !lifetimeSeconds
  return Date.parse(entry.expiration) - Date.now() > (lifetimeSeconds * 1000) / 2
}

function isExpired({ expiration }: Entry): boolean {
  return expiration !== undefined && Date.parse(expiration) < Date.now()
}

function newEntry(principal: string, lifetimeSeconds?: number): Entry {
  const secretAccessKey = randomBytes(30).toString('base64url')
  if (lifetimeSeconds === undefined) return { accessKeyId: keyId('AKIA'), secretAccessKey, principal }
  return {
    accessKeyId: keyId('ASIA'),
    secretAccessKey,
    sessionToken: randomBytes(48).toString('base64url'),
    expiration: new Date(Date.now() + lifetimeSeconds * 1000).toISOString(),
    principal,
  }
}

const keyId = (prefix: string) => prefix + randomBytes(8).toString('hex').toUpperCase()

function toCredentials({ accessKeyId, secretAccessKey, sessionToken, expiration }: Entry): Credentials {
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken ? { sessionToken } : {}),
    ...(expiration ? { expiration: new Date(expiration) } : {}),
  }
}

function readEntries(file: string): Entry[] {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

function writeEntries(file: string, entries: Entry[]): void {
  mkdirSync(dirname(file), { recursive: true })
  const temporary = `${file}.${process.pid}.tmp`
  writeFileSync(temporary, `${JSON.stringify(entries, null, 1)}\n`, { mode: 0o600 })
  renameSync(temporary, file)
}
