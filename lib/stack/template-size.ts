import { statSync } from 'node:fs'
import { UserError } from '../user-error.ts'

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html */
const MOST_BYTES = 1_000_000

/** CloudFormation would say so too, but not what to do. */
export function refuseLargeTemplate(file: string, fleets: number): void {
  const { size } = statSync(file)
  if (size <= MOST_BYTES) return
  throw new UserError(
    `The template of these ${fleets} fleets has ${size} bytes, and CloudFormation takes ${MOST_BYTES}: each fleet has a document with the whole target program in it. Move some of them into a second fleets.toml, with a "stack" of its own, and deploy that with PYBUNDLE_FLEETS_FILE.`,
  )
}
