import { memoize } from '@smithy/core/config'
import { Hash } from '@smithy/core/serde'
import { fromInstanceMetadata } from '@smithy/credential-provider-imds'
import { SignatureV4 } from '@smithy/signature-v4'

/** A call of AWS JSON 1.1, by its `X-Amz-Target`. */
export type Call = <Answer>(target: string, input: object) => Promise<Answer>

/** The services that speak to an agent, by the first half of the target. */
const SIGNING_NAMES: Record<string, string> = {
  AmazonSSM: 'ssm',
  EC2WindowsMessageDeliveryService: 'ec2messages',
}

/** The real agent's own limit; a poll for messages lasts up to half of it. */
const PATIENCE_MS = 20_000
const RENEW_BEFORE_MS = 5 * 60_000

/** Calls as the agent makes them: signed with the role of the instance, from its metadata service. */
export function connectMessageService({ region, endpoint }: { region: string; endpoint: string }): Call {
  const credentials = memoize(
    fromInstanceMetadata({ timeout: 2000, maxRetries: 2 }),
    ({ expiration }) => expiration !== undefined && expiration.getTime() - Date.now() < RENEW_BEFORE_MS,
    ({ expiration }) => expiration !== undefined,
  )
  const url = new URL(endpoint)

  return async (target, input) => {
    const service = SIGNING_NAMES[target.split('.')[0] ?? '']
    if (!service) throw new Error(`no service is known for "${target}"`)
    const signer = new SignatureV4({ service, region, credentials, sha256: Hash.bind(null, 'sha256') })
    const body = JSON.stringify(input)
    const signed = await signer.sign({
      method: 'POST',
      protocol: url.protocol,
      hostname: url.hostname,
      path: '/',
      headers: { host: url.host, 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target },
      body,
    })
    const { host: _, ...headers } = signed.headers
    const response = await fetch(url, {
      method: 'POST',
      headers,
      body,
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${target} was answered with ${response.status}: ${text}`)
    return JSON.parse(text || '{}')
  }
}
