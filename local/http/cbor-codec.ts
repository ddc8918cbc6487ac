import type { ServerResponse } from 'node:http'
import { CborCodec, cbor } from '@smithy/core/cbor'
import { NormalizedSchema } from '@smithy/core/schema'
import type { ServiceError, SignedRequest } from './service.ts'

type Schema = Parameters<typeof NormalizedSchema.of>[0]

/** Smithy RPC v2 with CBOR: what boto3 and the AWS CLI speak with CloudWatch, where the SDK for JavaScript speaks JSON. */
export const CBOR_HEADERS = { 'smithy-protocol': 'rpc-v2-cbor', 'content-type': 'application/cbor' }

/** The operation that is asked for, where that is how it is asked. */
export function cborOperation({ headers, path }: SignedRequest): string | undefined {
  if (headers['smithy-protocol'] !== CBOR_HEADERS['smithy-protocol']) return undefined
  return /^\/service\/\w+\/operation\/(\w+)$/.exec(path)?.[1]
}

export async function fromCbor(schema: Schema, body: Uint8Array): Promise<Record<string, unknown>> {
  if (body.length === 0) return {}
  return new CborCodec().createDeserializer().read(NormalizedSchema.of(schema), body)
}

export function toCbor(schema: Schema, value: unknown): Uint8Array {
  const serializer = new CborCodec().createSerializer()
  serializer.write(NormalizedSchema.of(schema), value)
  return serializer.flush()
}

export function refuseAsCbor(response: ServerResponse, { status, code, message }: ServiceError): void {
  response.writeHead(status, CBOR_HEADERS)
  response.end(cbor.serialize({ __type: code, message }))
}
