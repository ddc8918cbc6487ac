import { Listr, ListrLogger, ProcessOutput } from 'listr2'

/** What a step tells while it works. */
export interface Telling {
  /** Passing news. */
  news(line: string): void
  /** What the step comes down to, in place of its title. */
  result(line: string): void
}

type Work<T> = (telling: Telling) => Promise<T>

/** One step of a command. It is shown on standard error, which leaves standard output to results. */
export function step<T>(title: string, work: Work<T>): Promise<T> {
  return process.stderr.isTTY ? spinningStep(title, work) : plainStep(title, work)
}

async function plainStep<T>(title: string, work: Work<T>): Promise<T> {
  let last = title
  const value = await work({
    news: (line) => console.error(`  ${line}`),
    result: (line) => {
      last = line
    },
  })
  console.error(last)
  return value
}

async function spinningStep<T>(title: string, work: Work<T>): Promise<T> {
  const values: T[] = []
  const task = async (_: unknown, shown: { output: string; title: string }) => {
    const news = (line: string) => {
      shown.output = line
    }
    const result = (line: string) => {
      shown.title = line
    }
    values.push(await work({ news, result }))
  }
  const logger = new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) })
  // The error itself is told once, by the program.
  await new Listr([{ title, task }], { rendererOptions: { logger, showErrorMessage: false } }).run()
  return values[0] as T
}
