import { z } from 'zod'

const listed = z.record(z.string(), z.array(z.string()))

export const pyproject = z.object({
  project: z
    .object({
      name: z.string().default(''),
      dependencies: z.array(z.string()).default([]),
      dynamic: z.array(z.string()).default([]),
      'requires-python': z.string().optional(),
      'optional-dependencies': listed.default({}),
    })
    .optional(),
  'dependency-groups': z
    .record(z.string(), z.array(z.union([z.string(), z.object({ 'include-group': z.string() })])))
    .default({}),
  tool: z
    .object({
      poetry: z.object({ dependencies: z.record(z.string(), z.unknown()).optional() }).optional(),
      uv: z.looseObject({ sources: z.record(z.string(), z.unknown()).default({}) }).optional(),
    })
    .optional(),
})
export type Pyproject = z.infer<typeof pyproject>
