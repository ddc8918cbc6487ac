import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { writeFileAtomically } from '../../atomic-file.ts'
import type { Execution } from './execution.ts'

/** Executions, each a JSON file that is on the disk before anybody is told of a change. */
export interface ExecutionStore {
  all(): Execution[]
  save(execution: Execution): void
  remove(execution: Execution): void
}

export function openExecutionStore(directory: string): ExecutionStore {
  mkdirSync(directory, { recursive: true })
  const fileOf = ({ id }: Execution) => join(directory, `${id}.json`)
  const executions = new Map(
    readdirSync(directory)
      .filter((name) => name.endsWith('.json'))
      .map((name) => readExecution(join(directory, name)))
      .map((execution) => [execution.id, execution]),
  )
  return {
    all: () => [...executions.values()],
    save(execution) {
      writeFileAtomically(fileOf(execution), `${JSON.stringify(execution, null, 1)}\n`)
      executions.set(execution.id, execution)
    },
    remove(execution) {
      executions.delete(execution.id)
      rmSync(fileOf(execution), { force: true })
    },
  }
}

function readExecution(file: string): Execution {
  return JSON.parse(readFileSync(file, 'utf8'), (key, value) =>
    /timestamp$/i.test(key) ? new Date(value) : value,
  )
}
