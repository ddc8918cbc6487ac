import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Associations } from './associations.ts'
import { CommandJournal } from './command-journal.ts'
import { Commands, type Message } from './commands.ts'
import { connectMessageService } from './message-service.ts'
import { AGENT_VERSION } from './reply.ts'

/** The SSM agent of a local target: asks for what is to be done, does it, says how it went. */

const PING_MS = 60_000
const ASSOCIATIONS_MS = 30_000
const PAUSE_MS = 1000
const VISIBILITY_SECONDS = 10

// What is meant for the agent alone.
const { PYBUNDLE_AGENT_ENV_VAR, PYBUNDLE_ADDRESS, ...environment } = process.env as Record<string, string>
const instanceId = required('AWS_SSM_INSTANCE_ID')
const stateFolder = join(environment.PYBUNDLE_ROOT ?? '', '/var/lib/amazon/ssm', instanceId)
const call = connectMessageService({
  region: required('AWS_SSM_REGION_NAME'),
  endpoint: required('AWS_ENDPOINT_URL'),
})
const shared = {
  call,
  settings: { environment, knowsEnvironmentParameters: PYBUNDLE_AGENT_ENV_VAR !== 'off' },
  orchestrationFolder: join(stateFolder, 'document/orchestration'),
}
const commands = new Commands({ ...shared, journal: new CommandJournal(join(stateFolder, 'commands')) })
const associations = new Associations({
  ...shared,
  instanceId,
  stateFile: join(stateFolder, 'associations.json'),
})

process.umask(0o022)
process.on('SIGTERM', () => process.exit(0))
await introduce()
console.log(`${instanceId} is online`)
setInterval(() => void ping().catch(say), PING_MS)
setInterval(() => void associations.runDue().catch(say), ASSOCIATIONS_MS)
void commands.settleUnfinished().catch(say)
void associations.runDue().catch(say)
for (;;) await receive()

/** Nothing is begun before the service knows who asks. */
async function introduce(): Promise<void> {
  for (;;) {
    try {
      return await ping()
    } catch (error) {
      say(error)
      await delay(PAUSE_MS)
    }
  }
}

function ping(): Promise<void> {
  return call('AmazonSSM.UpdateInstanceInformation', {
    InstanceId: instanceId,
    AgentVersion: AGENT_VERSION,
    AgentStatus: 'Active',
    AgentName: 'amazon-ssm-agent',
    PlatformType: 'Linux',
    PlatformName: 'Local',
    PlatformVersion: '1',
    IPAddress: PYBUNDLE_ADDRESS ?? '127.0.0.1',
    ComputerName: hostname(),
  })
}

async function receive(): Promise<void> {
  const began = Date.now()
  const messages = await messagesForUs()
  for (const message of messages) void commands.take(message).catch(say)
  if (messages.length === 0 && Date.now() - began < PAUSE_MS) await delay(PAUSE_MS)
}

async function messagesForUs(): Promise<Message[]> {
  try {
    const answer = await call<{ Messages?: Message[] }>('EC2WindowsMessageDeliveryService.GetMessages', {
      Destination: instanceId,
      MessagesRequestId: randomUUID(),
      VisibilityTimeoutInSeconds: VISIBILITY_SECONDS,
    })
    return answer.Messages ?? []
  } catch (error) {
    say(error)
    return []
  }
}

function required(name: string): string {
  const value = environment[name]
  if (!value) throw new Error(`the agent needs ${name} in its environment`)
  return value
}

function say(error: unknown): void {
  console.error(error instanceof Error ? `${error.message} ${error.cause ?? ''}` : error)
}
