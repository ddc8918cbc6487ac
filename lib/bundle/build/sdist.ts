import { UserError } from '../../user-error.ts'
import { nameOf } from '../inputs/requirement-name.ts'
import { describePlatform } from '../platform.ts'
import type { ResolveJob } from '../resolve/resolve.ts'
import { wheelOf } from './build.ts'
import { downloadSource } from './source-archive.ts'

/**
 * A wheel for what an index has no fitting wheel of, built from its source: the newest that the requirement allows.
 * Undefined where there is no source either.
 */
export async function buildFromIndex(
  job: ResolveJob,
  line: string,
  folder: string,
): Promise<string | undefined> {
  const name = nameOf(line)
  job.report(`looking for the source of ${name}, which has no wheel that fits`)
  const sdist = await sourceOf(job, line, folder)
  return sdist && wheelOf(job, sdist, `the source of ${name}`)
}

async function sourceOf(job: ResolveJob, line: string, folder: string): Promise<string | undefined> {
  const name = nameOf(line)
  try {
    return await downloadSource(job, line, folder, [`--no-binary=${name}`])
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    if (unmatched(error.message).length > 0) return undefined
    // pip makes the metadata of a source while it downloads it.
    throw new UserError(
      `no wheel of ${line} fits ${describePlatform(job.platform)}, and its source cannot be used on this machine:\n${error.message}\nAsk for a version of ${name} that has a fitting wheel, or name a .whl of it in the requirements.`,
      { cause: error },
    )
  }
}

/** The requirements for which pip found nothing that fits, in its own words of them. */
export function unmatched(complaint: string): string[] {
  const alone = complaint.match(
    /No matching distribution found for ([^;\n]*?)(?: \(from .*\))?(?:;.*)?$/m,
  )?.[1]
  if (alone) return [alone]
  // Several that ask for one package are told as a conflict, also where the one trouble is that it has no wheel.
  const asked = [...complaint.matchAll(/^\s+(?:The user requested|.* depends on) ([^;\n]+?)(?:;.*)?$/gm)]
  const byName = Map.groupBy(
    asked.map(([, text = '']) => text.trim()),
    nameOf,
  )
  return [...byName].map(([name, all]) => `${name}${all.map(specifierOf).filter(Boolean).join(',')}`)
}

function specifierOf(requirement: string): string {
  return requirement.match(/(?:[<>=!~]=?|===).*$/)?.[0].replace(/[)\s]/g, '') ?? ''
}
