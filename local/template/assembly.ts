import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../../lib/user-error.ts'

export interface Resource {
  Type: string
  Properties?: Record<string, unknown>
}

export interface Template {
  Resources: Record<string, Resource>
  Outputs?: Record<string, { Value: unknown }>
}

/** The synthesized stack as it would be deployed. */
export interface Assembly {
  stackName: string
  template: Template
  /** The folder of an asset, by the key under which it would be in the bucket of assets. */
  assetDirectory(objectKey: string): string | undefined
}

interface Manifest {
  artifacts: Record<string, { type: string; properties?: { file?: string; templateFile?: string } }>
}

interface AssetManifest {
  files: Record<string, { source: { path: string }; destinations: Record<string, { objectKey: string }> }>
}

/** Reads `cdk.out`: its one stack, and where the assets of its functions lie. */
export function readAssembly(directory: string): Assembly {
  const file = join(directory, 'manifest.json')
  if (!existsSync(file)) {
    throw new UserError(
      `"${directory}" holds no synthesized stack: it has no manifest.json. Run: npm run synth`,
    )
  }
  const artifacts = Object.entries((readJson(file) as Manifest).artifacts)
  const stacks = artifacts.filter(([, { type }]) => type === 'aws:cloudformation:stack')
  const [stack, ...others] = stacks
  if (!stack || others.length > 0) {
    throw new UserError(
      `"${directory}" holds ${stacks.length} stacks; the local cloud boots from exactly one.`,
    )
  }
  const [stackName, { properties }] = stack
  const assets = new Map<string, string>()
  for (const [, artifact] of artifacts.filter(([, { type }]) => type === 'cdk:asset-manifest')) {
    const { files } = readJson(join(directory, artifact.properties?.file ?? '')) as AssetManifest
    for (const { source, destinations } of Object.values(files)) {
      for (const { objectKey } of Object.values(destinations)) assets.set(objectKey, source.path)
    }
  }
  return {
    stackName,
    template: readJson(join(directory, properties?.templateFile ?? '')) as Template,
    assetDirectory(objectKey) {
      const path = assets.get(objectKey)
      return path && join(directory, path)
    },
  }
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'))
}
