import { writeWheel } from './artifacts.ts'
import { pythonOutput } from './target.ts'
import { thisPython } from './this-python.ts'

/** Of this Python's pip what the target program uses, a twentieth of its files. */
const READ_USED = `
import json, re, sys, zipfile
used = r"pip/(__init__|_vendor/__init__|_vendor/distlib/scripts|_internal/operations/install/wheel)[.]py|pip/_vendor/(packaging|pyparsing|tomli)/[^/]*[.]py"
wheel = zipfile.ZipFile(sys.argv[1])
print(json.dumps({name: wheel.read(name).decode() for name in wheel.namelist() if re.fullmatch(used, name)}))
`

/** A bundle's pip that is unpacked, copied and compared in no time, for what is done hundreds of times. */
export async function smallPip(folder: string): Promise<string> {
  const { executable, pip } = await thisPython()
  const [, version = ''] = /pip-([^-]+)-/.exec(pip) ?? []
  const files = JSON.parse(pythonOutput(executable, ['-I', '-c', READ_USED, pip]))
  return writeWheel(folder, { name: 'pip', version, files })
}
