import { join } from 'node:path'
import { z } from 'zod'
import {
  completeParameters,
  environmentOf,
  objectionTo,
  type ParameterValues,
  parameterDefinitions,
  substitute,
} from './parameters.ts'
import { stepOperation } from './precondition.ts'
import { type ResultStatus, runShellScript, type StepOutcome, shellScriptInputs } from './run-step.ts'

const commandDocument = z.object({
  schemaVersion: z.literal(['2.0', '2.0.1', '2.0.2', '2.0.3', '2.2']),
  parameters: parameterDefinitions.default({}),
  mainSteps: z
    .array(
      z.object({
        action: z.string(),
        name: z.string(),
        inputs: z.record(z.string(), z.unknown()).default({}),
        precondition: z.record(z.string(), z.array(z.string())).default({}),
      }),
    )
    .min(1),
})
export type CommandDocument = z.infer<typeof commandDocument>
export type DocumentStep = CommandDocument['mainSteps'][number]

export function parseDocument(content: unknown): CommandDocument | undefined {
  return commandDocument.safeParse(content).data
}

export interface DocumentRun {
  content: unknown
  parameters: ParameterValues
  /** Of this run: each step has its own folder in it. */
  folder: string
  /** What the agent's steps are given, besides the parameters. */
  environment: Record<string, string>
  /** Agents before 3.3.2746 do not know `interpolationType`. */
  knowsEnvironmentParameters: boolean
  cancelled: AbortSignal
  onStep?: (step: StepResult, all: StepResult[]) => Promise<void>
}

export interface StepResult extends StepOutcome {
  name: string
  action: string
  startedAt: Date
  endedAt: Date
}

export interface DocumentResult {
  status: ResultStatus
  /** Why no step was run at all. */
  trace: string
  steps: StepResult[]
}

const EXIT_WITH_SUCCESS = 168
const EXIT_WITH_FAILURE = 169

export async function runDocument(run: DocumentRun): Promise<DocumentResult> {
  const document = parseDocument(run.content)
  if (!document) return { status: 'Failed', trace: 'Unsupported schema format', steps: [] }
  const values = completeParameters(document.parameters, run.parameters)
  const trace = objectionTo(document.parameters, values)
  if (trace) return { status: 'Failed', trace, steps: [] }

  const parameterEnvironment = run.knowsEnvironmentParameters
    ? environmentOf(document.parameters, values)
    : {}
  const environment = { ...run.environment, ...parameterEnvironment }
  const results: StepResult[] = []
  for (const step of document.mainSteps) {
    const startedAt = new Date()
    const inputs = substitute(step.inputs, values) as Record<string, unknown>
    const outcome = mustSkip(document.mainSteps, results)
      ? skipped(
          `Plugin with name ${step.action} and id ${step.name} skipped due to prior step with an exit condition`,
        )
      : await perform({ ...step, inputs }, values, { ...run, environment })
    const result = { name: step.name, action: step.action, startedAt, endedAt: new Date(), ...outcome }
    results.push(result)
    await run.onStep?.(result, results)
  }
  return { status: aggregate(results), trace: '', steps: results }
}

async function perform(step: DocumentStep, values: ParameterValues, run: DocumentRun): Promise<StepOutcome> {
  const operation = stepOperation(step, values)
  if (operation.word === 'skip') return skipped(operation.why)
  if (operation.word === 'fail') return failed(operation.why)
  const inputs = shellScriptInputs.safeParse(step.inputs)
  if (!inputs.success) return failed(`Invalid format in plugin properties ${JSON.stringify(step.inputs)}`)
  const { environment, cancelled } = run
  const folder = join(run.folder, step.name)
  return control(step, await runShellScript({ inputs: inputs.data, folder, environment, cancelled }))
}

/** Exit codes and modifiers by which a step ends the document; what is said of it is the agent's own words. */
function control(step: DocumentStep, outcome: StepOutcome): StepOutcome {
  const { onFailure } = step.inputs
  const say = (words: string) => `${outcome.standardOutput}\n${words} Further document steps will be skipped.`
  if (outcome.code === EXIT_WITH_SUCCESS) {
    const words = 'Step exited with code 168. Therefore, marking step as succeeded.'
    return { ...outcome, status: 'Success', standardError: '', standardOutput: say(words) }
  }
  if (outcome.code === EXIT_WITH_FAILURE) {
    return {
      ...outcome,
      standardOutput: say('Step exited with code 169. Therefore, marking step as Failed.'),
    }
  }
  if (outcome.status !== 'Failed') return outcome
  const said = { ...outcome, standardOutput: say('Step was found to have onFailure property.') }
  if (onFailure === 'exit') return said
  if (onFailure === 'successAndExit') return { ...said, status: 'Success', code: EXIT_WITH_SUCCESS }
  return outcome
}

/** A failed step does not stop the next ones by itself; one that timed out never does. */
function mustSkip(steps: DocumentStep[], results: StepResult[]): boolean {
  const next = steps[results.length]
  if (next && next === steps.at(-1) && String(next.inputs.finallyStep) === 'true') return false
  return results.some(({ status, code }, index) => {
    const { onFailure, onSuccess } = steps[index]?.inputs ?? {}
    if (code === EXIT_WITH_SUCCESS || code === EXIT_WITH_FAILURE) return true
    return (status === 'Failed' && onFailure === 'exit') || (status === 'Success' && onSuccess === 'exit')
  })
}

function aggregate(results: StepResult[]): ResultStatus {
  const order: ResultStatus[] = ['Failed', 'TimedOut', 'Cancelled']
  return order.find((status) => results.some((result) => result.status === status)) ?? 'Success'
}

function skipped(why: string): StepOutcome {
  return { status: 'Skipped', code: 0, standardOutput: why, standardError: '' }
}

function failed(why: string): StepOutcome {
  return { status: 'Failed', code: 1, standardOutput: '', standardError: why }
}
