/** Seconds each, but for the bytes. */
export interface Round {
  plain: number
  pipPlain: number
  floor: number
  ready: number
  pipReady: number
  changed: number
  again: number
  /** Fetched beyond the wheel that changed. */
  extraBytes: number
  uvPlain?: number
  uvReady?: number
}

interface Goal {
  work: string
  goal: string
  /** Of the median of the rounds' own ratios. */
  found: (rounds: readonly Round[]) => string
  isMet: (rounds: readonly Round[]) => boolean
}

function ratioGoal(work: string, goal: string, most: number, ratio: (round: Round) => number): Goal {
  const value = (rounds: readonly Round[]) => median(rounds.map(ratio))
  return {
    work,
    goal,
    found: (rounds) => (most < 1 ? `1/${(1 / value(rounds)).toFixed(1)}` : `${value(rounds).toFixed(2)}x`),
    isMet: (rounds) => value(rounds) <= most,
  }
}

export const GOALS: readonly Goal[] = [
  ratioGoal(
    'first install, until importable',
    'at most 1/4 of venv + pip --no-compile',
    1 / 4,
    (r) => r.plain / r.pipPlain,
  ),
  ratioGoal('the same', 'at most 2x of hashing and unpacking', 2, (r) => r.plain / r.floor),
  ratioGoal('first install, bytecode ready', 'at most 1/3 of venv + pip', 1 / 3, (r) => r.ready / r.pipReady),
  ratioGoal(
    'one wheel changed, bytecode ready',
    'at most 1/50 of the same',
    1 / 50,
    (r) => r.changed / r.pipReady,
  ),
  {
    work: 'nothing changed',
    goal: 'under 50 ms',
    found: (rounds) => `${(median(rounds.map((r) => r.again)) * 1000).toFixed(0)} ms`,
    isMet: (rounds) => median(rounds.map((r) => r.again)) < 0.05,
  },
  {
    work: 'bytes fetched, one wheel changed',
    goal: 'that wheel + 64 KiB',
    found: (rounds) => `that wheel + ${(Math.max(...rounds.map((r) => r.extraBytes)) / 1024).toFixed(1)} KiB`,
    isMet: (rounds) => rounds.every((r) => r.extraBytes <= 65536),
  },
]

export function formatResults(rounds: readonly Round[], about: { machine: string; wheels: string }): string {
  const rows = GOALS.map(
    ({ work, goal, found, isMet }) =>
      `| ${work} | ${goal} | ${found(rounds)} | ${isMet(rounds) ? 'yes' : 'no'} |`,
  )
  const names = Object.keys(rounds[0] ?? {}).filter((name): name is keyof Round => name !== 'extraBytes')
  const raw = names.map((name) => {
    const values = rounds.map((round) => round[name] ?? Number.NaN)
    return `| ${name} | ${median(values).toFixed(2)} | ${values.map((value) => value.toFixed(2)).join(' ')} |`
  })
  return `# How fast a target installs

\`npm run bench -- target\`: ${about.wheels}. ${about.machine}. Ratios are the medians of ${rounds.length} rounds' own
ratios, ours and the peers in turn. Ours fetches from an S3 on loopback and checks each digest; the peers read local files.

| work | goal | found | met |
|---|---|---|---|
${rows.join('\n')}

Seconds: the median, then each round. \`plain\`, \`ready\`, \`changed\`, \`again\` are ours; \`pip*\` includes \`python -m venv\`.

| what | median | rounds |
|---|---|---|
${raw.join('\n')}
`
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const [low = Number.NaN, high = Number.NaN] = [sorted[middle - 1 + (sorted.length % 2)], sorted[middle]]
  return (low + high) / 2
}
