import { z } from 'zod'

const edge = z.object({
  name: z.string(),
  version: z.string().optional(),
  source: z.record(z.string(), z.string()).optional(),
  extra: z.array(z.string()).default([]),
  marker: z.string().default(''),
})
const edges = z.array(edge)
const edgesByName = z.record(z.string(), edges)
const file = z.object({
  url: z.string().optional(),
  path: z.string().optional(),
  filename: z.string().optional(),
  hash: z.string().optional(),
})

export const lock = z.object({
  version: z.literal(1, 'only version 1 of the format is known here'),
  'requires-python': z.string().optional(),
  'supported-markers': z.array(z.string()).default([]),
  package: z
    .array(
      z.object({
        name: z.string(),
        version: z.string().default(''),
        source: z.record(z.string(), z.string()),
        dependencies: edges.default([]),
        'optional-dependencies': edgesByName.default({}),
        'dev-dependencies': edgesByName.default({}),
        metadata: z
          .object({
            'provides-extras': z.array(z.string()).default([]),
            'requires-dist': z.array(z.object({ name: z.string() })).default([]),
            'requires-dev': z.record(z.string(), z.unknown()).default({}),
          })
          .optional(),
        sdist: file.optional(),
        wheels: z.array(file).default([]),
      }),
    )
    .default([]),
})
export type Edge = z.infer<typeof edge>
export type Package = z.infer<typeof lock>['package'][number]
