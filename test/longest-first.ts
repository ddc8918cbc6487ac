import { basename } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Of both runs. They take minutes: begun last, they would leave cores idle in the end. */
const LONGEST = [
  'power-cut',
  'disk-full',
  'targets-end',
  'killed',
  'checkpoints-done',
  'checkpoints-rollback',
  'same-as-pip-index',
  'demo',
  'real-index',
  'download',
  'sdist',
]

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const known = LONGEST.indexOf(basename(moduleId).replace(/\..*/, ''))
      return known < 0 ? LONGEST.length : known
    }
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b))
  }
}
