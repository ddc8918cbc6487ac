import type { OperationUpdate } from '@aws-sdk/client-lambda'
import { describe, expect, it } from 'vitest'
import { applyUpdates } from '../../local/lambda/durable/apply-updates.ts'
import { countOperations } from '../../local/lambda/durable/execution.ts'
import { newExecution } from '../../local/lambda/durable/start-execution.ts'

const NOW = new Date('2026-03-01T12:00:00Z')
const config = {
  name: 'rollout',
  handler: 'index.handler',
  directory: '',
  codeHash: '',
  environment: {},
  timeoutSeconds: 1,
  memoryMb: 128,
  role: 'rollout',
}
const started = () =>
  newExecution({
    version: { version: '1', config },
    functionArn: 'arn:rollout:1',
    input: '{}',
    name: 'one',
    now: NOW,
  })
const condition = { Id: 'watch', Type: 'STEP', SubType: 'WaitForCondition' } as const
const look: OperationUpdate = { ...condition, Action: 'RETRY', StepOptions: { NextAttemptDelaySeconds: 1 } }

describe('the operations of a durable execution', () => {
  it('are counted as AWS meters them: each look of a condition, and each try of a step', () => {
    const execution = started()
    applyUpdates(execution, [{ ...condition, Action: 'START' }, look, look], NOW)
    const step = { Id: 'step', Type: 'STEP', SubType: 'Step' } as const
    const again: OperationUpdate = { ...step, Action: 'RETRY', StepOptions: { NextAttemptDelaySeconds: 1 } }
    applyUpdates(execution, [{ ...step, Action: 'START' }, again, { ...step, Action: 'SUCCEED' }], NOW)
    expect(countOperations(execution)).toBe(1 + (1 + 2) + 2)
  })

  it('are no more than 3,000, looks included', () => {
    const execution = started()
    applyUpdates(execution, [{ ...condition, Action: 'START' }], NOW)
    const looks = () => {
      for (let count = 0; count < 3000; count++) applyUpdates(execution, [look], NOW)
    }
    expect(looks).toThrow('Durable execution has reached the limit of 3000 operations.')
    expect(countOperations(execution)).toBe(3000)
  })
})
