import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Workshop } from '../test/target/workshop.ts'
import { formatResults, GOALS, type Round } from './target/results.ts'
import { TargetRounds } from './target/rounds.ts'

const RESULTS = fileURLToPath(new URL('results/target.md', import.meta.url))

/** How fast a target installs, beside its peers in the same minutes; says whether every goal is met. */
export async function benchTarget({ rounds = 5, file = RESULTS } = {}): Promise<boolean> {
  const workshop = await Workshop.open('bench')
  try {
    const bench = await TargetRounds.open(workshop, join(tmpdir(), 'pybundle-bench-wheels'))
    const measured: Round[] = []
    for (let round = 1; round <= rounds; round++) {
      console.info(`round ${round} of ${rounds}`)
      measured.push(await bench.measure())
    }
    const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, ${bench.versions()}`
    const text = formatResults(measured, { machine, wheels: bench.wheels() })
    mkdirSync(join(file, '..'), { recursive: true })
    writeFileSync(file, text)
    console.info(text)
    return GOALS.every(({ isMet }) => isMet(measured))
  } finally {
    await workshop.close()
    rmSync(workshop.folder, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const rounds = Number(process.argv[2] ?? 5)
  process.exitCode = (await benchTarget({ rounds })) ? 0 : 1
}
