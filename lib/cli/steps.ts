import { Listr, ListrLogger, ProcessOutput } from 'listr2'

/** What a step tells while it works. */
export interface Telling {
  /** Passing news. */
  news(line: string): void
  /** What the step comes down to, in place of its title. */
  result(line: string): void
}

/** One step of a command: a spinner on a terminal, plain lines otherwise; on standard error, which leaves the other to results. */
export async function step<T>(title: string, work: (telling: Telling) => Promise<T>): Promise<T> {
  const results: T[] = []
  const task = {
    title,
    task: async (_: unknown, shown: { output: string; title: string }) => {
      const news = (line: string) => {
        shown.output = line
      }
      const result = (line: string) => {
        shown.title = line
      }
      results.push(await work({ news, result }))
    },
  }
  await new Listr([task], {
    fallbackRenderer: 'simple',
    fallbackRendererCondition: !process.stderr.isTTY,
    rendererOptions: { logger: onStandardError(), showErrorMessage: false },
    fallbackRendererOptions: { logger: onStandardError() },
  }).run()
  return results[0] as T
}

function onStandardError(): ListrLogger {
  const processOutput = new ProcessOutput(process.stderr, process.stderr)
  return new ListrLogger({ useIcons: true, processOutput, fields: { prefix: [], suffix: [] } })
}
