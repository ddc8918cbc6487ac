import { z } from 'zod'
import { type Digest, sha256 } from '../release/digest.ts'
import { digest } from '../release/release.ts'

export const BUNDLE_FORMAT = 2

/** `pybundle.json`, the last member of a bundle. Its own sha256 is the bundle's id. */
export const bundleManifest = z.object({
  format: z.literal(BUNDLE_FORMAT),
  platform: z.object({
    machine: z.string().min(1),
    libc: z.tuple([z.enum(['glibc', 'musl', 'macos']), z.string()]),
    python: z.string().regex(/^3\.\d+$/),
  }),
  requires_python: z.string().optional(),
  /** What the requirements name themselves; all else is there because of them. */
  roots: z.array(z.string()),
  /** The commit of each dependency that came from a repository. */
  vcs: z.record(z.string(), z.unknown()),
  /** Every other member. */
  members: z.record(z.string(), z.object({ sha256: digest, size: z.number().int().nonnegative() })),
})
export type BundleManifest = z.infer<typeof bundleManifest>

export const MANIFEST_NAME = 'pybundle.json'

/** Keys sorted, so that one bundle has one id wherever it was made. */
export function formatManifest(manifest: BundleManifest): string {
  return `${JSON.stringify(sortKeys(manifest), null, 1)}\n`
}

export function bundleId(manifestText: string | Uint8Array): Digest {
  return sha256(manifestText)
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, inner]) => [key, sortKeys(inner)]))
}
