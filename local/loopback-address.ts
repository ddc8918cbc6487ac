import { createHash } from 'node:crypto'

/**
 * Where a target's app answers: on Linux an address of its own, elsewhere a port of its own. It comes from the
 * id, so that it is the same after every start and no two local clouds share one.
 */
export function loopbackAddress(instanceId: string): { host: string; port: number } {
  const [a = 0, b = 0, c = 0] = createHash('sha256').update(instanceId).digest()
  if (process.platform !== 'linux') return { host: '127.0.0.1', port: 20_000 + ((a * 256 + b) % 20_000) }
  return { host: `127.${1 + (a % 254)}.${b}.${1 + (c % 254)}`, port: 8000 }
}
