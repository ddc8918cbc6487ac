import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { UserError } from '../../lib/user-error.ts'

export interface Python {
  /** Holds the real `python3`: no shim of a version manager, no virtualenv. */
  folder: string
  prefix: string
}

const SCRIPT =
  'import json, os, sys; print(json.dumps([os.path.dirname(os.path.realpath(sys.executable)), sys.base_prefix]))'

/** The Python that targets find on their PATH. */
export async function findTargetPython(): Promise<Python> {
  try {
    const { stdout } = await promisify(execFile)('python3', ['-I', '-c', SCRIPT])
    const [folder, prefix] = JSON.parse(stdout)
    return { folder, prefix }
  } catch (cause) {
    throw new UserError('A local target needs `python3`, and it is not on the PATH or does not start.', {
      cause,
    })
  }
}
