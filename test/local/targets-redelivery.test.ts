import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CommandJournal } from '../../local/targets/command-journal.ts'
import { Commands } from '../../local/targets/commands.ts'
import { scriptDocument } from './target-cloud.ts'

let folder: string
let calls: string[]
let refusals: number

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'redelivery-'))
  calls = []
  refusals = 0
})

afterEach(() => rmSync(folder, { recursive: true }))

const WHOLE_TALK = ['SendReply', 'AcknowledgeMessage', 'SendReply', 'SendReply', 'DeleteMessage']

test('replies, acknowledges, runs, replies and deletes, in this order', async () => {
  await startAgent().take(message('1'))
  expect(calls).toEqual(WHOLE_TALK)
  expect(runs()).toBe('x\n')
})

test('runs a command that comes twice once, and only acknowledges it again', async () => {
  const agent = startAgent()
  await Promise.all([agent.take(message('1')), agent.take(message('1'))])
  await agent.take(message('1'))
  expect(runs()).toBe('x\n')
})

test('does so after a start of the agent too', async () => {
  await startAgent().take(message('1'))
  calls = []
  await startAgent().take(message('1'))
  expect(calls).toEqual(['AcknowledgeMessage'])
  expect(runs()).toBe('x\n')
})

test('says again what was not heard', async () => {
  refusals = 1
  await startAgent().take(message('1'))
  expect(calls).toEqual(['SendReply', ...WHOLE_TALK])
  expect(runs()).toBe('x\n')
})

test('leaves a sixth command until there is room', async () => {
  const agent = startAgent()
  const six = ['1', '2', '3', '4', '5', '6'].map((id) => agent.take(message(id)))
  await Promise.all(six)
  expect(runs()).toBe('x\n'.repeat(5))
  await agent.take(message('6'))
  expect(runs()).toBe('x\n'.repeat(6))
})

function startAgent(): Commands {
  return new Commands({
    call: async <Answer>(target: string) => {
      calls.push(target.split('.')[1] ?? '')
      if (refusals-- > 0) throw new Error('503')
      return {} as Answer
    },
    journal: new CommandJournal(join(folder, 'commands')),
    orchestrationFolder: join(folder, 'orchestration'),
    settings: { environment: { PATH: process.env.PATH ?? '' }, knowsEnvironmentParameters: true },
  })
}

function message(id: string) {
  const DocumentContent = scriptDocument(`echo x >>'${folder}/runs'`)
  return {
    MessageId: `aws.ssm.${id}.i-0`,
    Topic: 'aws.ssm.sendCommand.us-east-1.i-0',
    Payload: JSON.stringify({ CommandId: id, DocumentContent }),
  }
}

const runs = () => readFileSync(join(folder, 'runs'), 'utf8')
