import { type ParameterValues, substitute } from './parameters.ts'
import type { DocumentStep } from './run-document.ts'

export type StepOperation = { word: 'execute' } | { word: 'skip' | 'fail'; why: string }

const PLATFORM = 'linux'

/** Whether the agent runs a step, as its action and its precondition say. */
export function stepOperation(step: DocumentStep, values: ParameterValues): StepOperation {
  const verdicts = Object.entries(step.precondition).map(([operator, terms]) =>
    judge(operator, terms, values),
  )
  const listed = verdicts.map(({ objection }) => objection).filter(Boolean)
  if (verdicts.some(({ isUnmet }) => isUnmet)) {
    const why = `Step execution skipped due to unsatisfied preconditions: '${listed.join(', ')}'.`
    return { word: 'skip', why: `${why} Step name: ${step.name}` }
  }
  if (step.action !== 'aws:runShellScript') {
    const why = `Plugin with name ${step.action} is not supported by this version of ssm agent.`
    return { word: 'fail', why: `${why} Step name: ${step.name}` }
  }
  if (listed.length === 0) return { word: 'execute' }
  return {
    word: 'fail',
    why: `Unrecognized precondition(s): '${listed.join(', ')}'. Step name: ${step.name}`,
  }
}

interface Judgement {
  isUnmet: boolean
  objection?: string
}

function judge(operator: string, terms: string[], values: ParameterValues): Judgement {
  const object = (why: string, isUnmet = false) => ({ isUnmet, objection: why })
  if (operator !== 'StringEquals') return object(`unrecognized operator: "${operator}"`)
  const [left, right] = terms
  if (terms.length !== 2 || left === undefined || right === undefined) {
    return object(`"${operator}": operator accepts exactly 2 arguments`)
  }
  if (left === right) return object(`"${operator}": operator's arguments can't be identical`)
  const words = `"${operator}": [${left}, ${right}]`
  if (terms.includes('platformType')) {
    const wanted = left === 'platformType' ? right : left
    return wanted.toLowerCase() === PLATFORM ? { isUnmet: false } : object(words, true)
  }
  const resolved = terms.map((term) => substitute(term, values))
  if (resolved.every((value, index) => value === terms[index])) {
    return object(
      `"${operator}": at least one of operator's arguments must contain a valid document parameter`,
    )
  }
  return resolved[0] === resolved[1] ? { isUnmet: false } : object(words, true)
}
