import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface PackageOptions {
  name: string
  version?: string
  requires?: string[]
  requiresPython?: string
  /** `py3-none-any` unless told. */
  tag?: string
  /** Beside the module, and in the wheel. */
  native?: Buffer
}

/** A source package that brings its own build backend, so that no index is needed to build it. */
export function writePackage(folder: string, options: PackageOptions): string {
  const { name, version = '1.0', requires = [], requiresPython = '>=3.8', tag = 'py3-none-any' } = options
  mkdirSync(join(folder, '_backend'), { recursive: true })
  writeFileSync(
    join(folder, 'pyproject.toml'),
    `[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["_backend"]\n`,
  )
  writeFileSync(join(folder, `${name}.py`), `version = "${version}"\n`)
  if (options.native) writeFileSync(join(folder, 'native.so'), options.native)
  writeFileSync(
    join(folder, '_backend', 'backend.py'),
    BACKEND.replace('@@', JSON.stringify(JSON.stringify({ name, version, requires, requiresPython, tag }))),
  )
  return folder
}

const BACKEND = `
import base64, hashlib, json, os, zipfile
P = json.loads(@@)
INFO = "%s-%s.dist-info" % (P["name"], P["version"])

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    metadata = ["Metadata-Version: 2.1", "Name: " + P["name"], "Version: " + P["version"], "Requires-Python: " + P["requiresPython"]]
    metadata += ["Requires-Dist: " + requirement for requirement in P["requires"]]
    with open(P["name"] + ".py", "rb") as module:
        files = {P["name"] + ".py": module.read()}
    if os.path.exists("native.so"):
        with open("native.so", "rb") as native:
            files["native.so"] = native.read()
    files[INFO + "/METADATA"] = ("\\n".join(metadata) + "\\n").encode()
    files[INFO + "/WHEEL"] = ("Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: %s\\n" % P["tag"]).encode()
    hashed = lambda content: base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    record = "".join("%s,sha256=%s,%d\\n" % (n, hashed(c), len(c)) for n, c in files.items())
    files[INFO + "/RECORD"] = (record + INFO + "/RECORD,,\\n").encode()
    wheel = "%s-%s-%s.whl" % (P["name"], P["version"], P["tag"])
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return wheel
`
