import { join } from 'node:path'
import { PARAMETERS } from '../../lib/release/command.ts'
import type { State } from '../../lib/release/state.ts'
import { awsJsonService } from '../../local/http/aws-json.ts'
import { type Service, ServiceError } from '../../local/http/service.ts'
import { Documents } from '../../local/ssm/documents.ts'
import { Instances } from '../../local/ssm/instances.ts'
import type { Message } from '../../local/ssm/mailbox.ts'
import { RunCommand } from '../../local/ssm/run-command.ts'
import { clientOperations } from '../../local/ssm/ssm.ts'
import { loseAnswer } from './lose-answer.ts'
import { type Behaviour, type Migration, SimulatedTarget, type Told } from './simulated-target.ts'
import type { VirtualClock } from './virtual-clock.ts'

export interface SimulatedFleetOptions {
  directory: string
  region: string
  clock: VirtualClock
  document: string
  tags: Record<string, string>
  readState(): Promise<State>
}

/** Simulated agents ping nobody: they are online until a test says otherwise. */
const A_YEAR = 31_536_000

export type Fault = 'throttled' | 'answer lost' | undefined

interface Member {
  target: SimulatedTarget
  /** Aborted when it is switched off. */
  life: AbortController
  /** Running, but its agent takes nothing and says nothing. */
  isSilent: boolean
  waiting: Map<string, Message>
}

/** The local cloud's own Run Command, with targets that are no processes behind it. */
export function openSimulatedFleet(options: SimulatedFleetOptions) {
  const { directory, region, clock, document, tags, readState } = options
  const documents = new Documents(join(directory, 'documents'))
  const instances = new Instances(join(directory, 'instances'), A_YEAR)
  const members = new Map<string, Member>()
  const database: Migration[] = []
  const behaviours = new Map<string, Behaviour>()
  const handedOut = new Set<string>()
  /** By operation; asked at each call. */
  let fault: (operation: string) => Fault = () => undefined
  const calls: string[] = []

  const runs = new RunCommand({
    directory,
    region,
    documents,
    instances,
    sleepUntil: clock.sleepUntil,
    mailbox: {
      post(message) {
        members.get(message.Destination)?.waiting.set(message.MessageId, message)
        void deliver(message.Destination)
      },
      remove: (messageId) => members.get(messageId.split('.')[3] ?? '')?.waiting.delete(messageId),
      isHandedOut: (messageId) => handedOut.has(messageId),
    },
  })
  const content = {
    schemaVersion: '2.2',
    parameters: Object.fromEntries(
      Object.entries(PARAMETERS).map(([name, { pattern, default: value }]) => [
        name,
        { type: 'String', default: value, allowedPattern: pattern },
      ]),
    ),
    mainSteps: [
      { action: 'aws:runShellScript', name: 'target', inputs: { timeoutSeconds: '900', runCommand: ['id'] } },
    ],
  }
  documents.put({ name: document, content })

  async function deliver(id: string): Promise<void> {
    const member = members.get(id)
    if (!member || member.isSilent || member.life.signal.aborted) return
    for (const [messageId, message] of [...member.waiting]) {
      member.waiting.delete(messageId)
      handedOut.add(messageId)
      void answer(member, message).catch(() => {})
    }
  }

  async function answer({ target, life }: Member, { MessageId, Payload }: Message): Promise<void> {
    const { signal } = life
    const isMute = () => signal.aborted || members.get(target.id)?.isSilent
    await Promise.resolve()
    if (!isMute()) runs.reply(MessageId, target.id, reply('InProgress'))
    const { action, release, token, rollout } = JSON.parse(Payload).Parameters
    const told: Told = { action, release, token: Number(token), rollout }
    const verdict = await target.run(told)
    if (isMute()) return
    const isGood = verdict.outcome === 'done' || verdict.outcome === 'running'
    runs.reply(MessageId, target.id, reply(isGood ? 'Success' : 'Failed', JSON.stringify(verdict)))
  }

  function surroundingsOf(life: AbortController) {
    return {
      database,
      behaviour: (release: string) => behaviours.get(release) ?? {},
      readState: () => clock.during(readState()),
      work: async (seconds: number) => {
        await clock.sleepUntil(new Date(Date.now() + seconds * 1000), life.signal)
        if (life.signal.aborted) throw new Error('switched off')
      },
    }
  }

  const member = (id: string) => {
    const found = members.get(id)
    if (!found) throw new Error(`no target ${id}`)
    return found
  }

  const inner = awsJsonService(clientOperations({ documents, instances, runs }))
  const service: Service = async (request, response) => {
    const operation = String(request.headers['x-amz-target'] ?? '').split('.')[1] ?? ''
    calls.push(operation)
    const wanted = fault(operation)
    if (wanted === 'throttled') throw new ServiceError(400, 'ThrottlingException', 'Rate exceeded')
    if (wanted === 'answer lost') loseAnswer(response)
    await inner(request, response)
  }

  return {
    service,
    /** As an update of the stack does. */
    updateDocument: () => documents.put({ name: document, content: { ...content, description: 'newer' } }),
    /** Which version of the document each command of a rollout was sent with. */
    versionsSent: (rollout: string) =>
      runs.all().flatMap((sent) => (sent.comment.startsWith(rollout) ? [sent.documentVersion] : [])),
    database,
    calls,
    instances,
    targets: () => [...members.values()].map(({ target }) => target),
    target: (id: string) => member(id).target,
    isOn: (id: string) => !member(id).life.signal.aborted,
    add(id: string, { isSilent = false } = {}): SimulatedTarget {
      const life = new AbortController()
      const target = new SimulatedTarget(id, surroundingsOf(life))
      members.set(id, { target, life, isSilent, waiting: new Map() })
      instances.register(id, tags)
      instances.introduce(id, {
        version: '3.3.4000.0',
        platformType: 'Linux',
        platformName: 'Simulated',
        platformVersion: '1',
        ipAddress: '10.0.0.1',
        computerName: id,
      })
      if (isSilent) instances.lose(id)
      return target
    },
    /** Its agent says nothing any more; the instance runs on. */
    silence(id: string) {
      member(id).isSilent = true
      instances.lose(id)
    },
    stop(id: string) {
      member(id).life.abort()
      instances.stop(id)
    },
    /** After a stop, or as a reboot: it takes what waited for it. */
    start(id: string) {
      const known = member(id)
      known.life.abort()
      known.life = new AbortController()
      known.target.revive(surroundingsOf(known.life))
      known.isSilent = false
      instances.register(id, tags)
      instances.hear(id)
      void deliver(id)
    },
    terminate(id: string) {
      member(id).life.abort()
      instances.terminate(id)
    },
    behave(release: string, behaviour: Behaviour) {
      behaviours.set(release, behaviour)
    },
    onCall(decide: (operation: string) => Fault) {
      fault = decide
    },
    close: () => runs.close(),
  }
}

export type SimulatedFleet = ReturnType<typeof openSimulatedFleet>

function reply(documentStatus: string, output = '') {
  const step = {
    status: documentStatus,
    code: documentStatus === 'Failed' ? 1 : 0,
    name: 'aws:runShellScript',
    output,
    standardOutput: output,
    standardError: '',
  }
  return {
    documentStatus,
    documentTraceOutput: '',
    runtimeStatus: (documentStatus === 'InProgress' ? {} : { target: step }) as Record<string, typeof step>,
  }
}
