import { XmlCodec } from '@aws-sdk/core/protocols'
import { FromStringShapeDeserializer, ToStringShapeSerializer } from '@smithy/core/protocols'
import type { NormalizedSchema } from '@smithy/core/schema'

/** The SDK's codecs: made for a client, they read and write both ways. */

export const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'
const SETTINGS = {
  xmlNamespace: NAMESPACE,
  serviceNamespace: 'com.amazonaws.s3',
  timestampFormat: { useTrait: true, default: 5 as const },
  httpBindings: true,
}

export const xmlCodec = new XmlCodec(SETTINGS)
export const fromText = new FromStringShapeDeserializer(SETTINGS)
export const toText = new ToStringShapeSerializer(SETTINGS)

export type Members = Record<string, unknown>

/** The member that is the whole body. */
export function payloadOf(schema: NormalizedSchema): [string, NormalizedSchema] | undefined {
  if (!schema.isStructSchema()) return undefined
  return [...schema.structIterator()].find(([, member]) => member.getMergedTraits().httpPayload)
}
