import { JsonCodec2 } from '@smithy/core/protocols'
import { NormalizedSchema } from '@smithy/core/schema'

type Schema = Parameters<typeof NormalizedSchema.of>[0]

/** Of AWS JSON 1.1 and of restJson1 alike. */
export const JSON_SETTINGS = {
  // 7: epoch seconds, what both prescribe for bodies.
  timestampFormat: { useTrait: true, default: 7 as const },
  httpBindings: true,
  jsonName: true,
}

/** The JSON of a structure as it goes over the wire. */
export function toJson(schema: Schema, value: unknown): Buffer {
  const serializer = new JsonCodec2(JSON_SETTINGS).createSerializer()
  serializer.write(NormalizedSchema.of(schema), value)
  const { buffer, byteOffset, byteLength } = serializer.flush()
  return Buffer.from(buffer, byteOffset, byteLength)
}

/** Throws where the text is not that structure's JSON. */
export async function fromJson(schema: Schema, text: string): Promise<Record<string, unknown>> {
  return new JsonCodec2(JSON_SETTINGS).createDeserializer().read(NormalizedSchema.of(schema), text)
}
