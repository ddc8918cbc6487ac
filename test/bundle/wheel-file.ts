import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { ZipArchive } from 'archiver'

export interface WheelOptions {
  name: string
  version?: string
  tag?: string
  requires?: string[]
  extras?: string[]
  requiresPython?: string
  /** Beside the metadata; a module of the wheel's name unless told. */
  files?: Record<string, string | Buffer>
  /** Instead of what belongs there. */
  metadata?: { name?: string; version?: string }
  entryPoints?: string
  /** Its Wheel-Version. */
  format?: string
  /** What the RECORD says of a file, instead of the truth. */
  record?: Record<string, string>
}

/** A real wheel, or one that is wrong in exactly the way asked for. */
export async function writeWheel(folder: string, options: WheelOptions): Promise<string> {
  const {
    name,
    version = '1.0',
    tag = 'py3-none-any',
    format = '1.0',
    files = { [`${name}.py`]: `name = "${name}"\n` },
  } = options
  const info = `${name}-${version}.dist-info`
  const members: Record<string, string | Buffer> = {
    ...files,
    [`${info}/METADATA`]: metadataOf(options),
    [`${info}/WHEEL`]: `Wheel-Version: ${format}\nGenerator: test\nRoot-Is-Purelib: true\nTag: ${tag}\n`,
    ...(options.entryPoints ? { [`${info}/entry_points.txt`]: options.entryPoints } : {}),
  }
  const lines = Object.entries({ ...members, ...options.record }).map(
    ([path, content]) => `${path},sha256=${createHash('sha256').update(content).digest('base64url')},\n`,
  )
  const file = join(folder, `${name}-${version}-${tag}.whl`)
  await writeZip(file, { ...members, [`${info}/RECORD`]: `${lines.join('')}${info}/RECORD,,\n` })
  return file
}

export async function writeZip(file: string, members: Record<string, string | Buffer>): Promise<void> {
  const archive = new ZipArchive({})
  const output = createWriteStream(file)
  archive.pipe(output)
  for (const [path, content] of Object.entries(members)) archive.append(content, { name: path })
  await Promise.all([archive.finalize(), finished(output)])
}

function metadataOf({
  name,
  version = '1.0',
  requires = [],
  extras = [],
  requiresPython,
  metadata,
}: WheelOptions) {
  return [
    'Metadata-Version: 2.1',
    `Name: ${metadata?.name ?? name}`,
    `Version: ${metadata?.version ?? version}`,
    ...(requiresPython ? [`Requires-Python: ${requiresPython}`] : []),
    ...extras.map((extra) => `Provides-Extra: ${extra}`),
    ...requires.map((requirement) => `Requires-Dist: ${requirement}`),
    '',
    'Requires-Dist: only-in-the-description',
  ].join('\n')
}
