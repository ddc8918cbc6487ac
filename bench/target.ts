import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Workshop } from '../test/target/workshop.ts'
import { formatResults, GOALS, type Round } from './target/results.ts'
import { TargetRounds } from './target/rounds.ts'

const RESULTS = fileURLToPath(new URL('results/target.md', import.meta.url))

interface Options {
  rounds: number
  /** Of Markdown. */
  output?: string
}

/** How fast a target installs, beside its peers in the same minutes. Exit code 1: not every goal is met. */
export async function benchTarget({ rounds, output = RESULTS }: Options): Promise<void> {
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
    mkdirSync(join(output, '..'), { recursive: true })
    writeFileSync(output, text)
    console.info(text)
    process.exitCode = GOALS.every(({ isMet }) => isMet(measured)) ? 0 : 1
  } finally {
    await workshop.close()
    rmSync(workshop.folder, { recursive: true, force: true })
  }
}
