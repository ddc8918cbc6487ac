import { execa } from 'execa'
import { UserError } from '../user-error.ts'
import type { Platform } from './platform.ts'

/** A Python on the laptop: it builds local sources and runs pip. */
export interface Python {
  executable: string
  /** "3.11.7" */
  version: string
  /** What it and this machine are. */
  platform: Platform
  /** The wheel of pip that came with it, from ensurepip. */
  pip: string
  /** The minor version of the oldest Python that this pip runs on. */
  pipNeedsMinor: number
}

/** Asked of each candidate. `WHEEL_PKG_DIR` is where distributions put what ensurepip carries elsewhere. */
const PROBE = `
import glob, json, os, platform, re, sys, sysconfig, zipfile
def requirement(pip):
    wheel = zipfile.ZipFile(pip)
    metadata = [name for name in wheel.namelist() if re.match("pip-[^/]*.dist-info/METADATA$", name)][0]
    return re.search("Requires-Python: >=3[.]([0-9]+)", wheel.read(metadata).decode()).group(1)
try:
    import ensurepip, venv
    folders = [os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"),
               sysconfig.get_config_var("WHEEL_PKG_DIR") or "", "/usr/share/python-wheels"]
    pips = [pip for folder in folders for pip in sorted(glob.glob(os.path.join(folder, "pip-*.whl")), reverse=True)]
except ImportError:
    pips = []
libc = ["macos", platform.mac_ver()[0]]
if sys.platform == "linux":
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION").split()
    except (ValueError, OSError, AttributeError):
        libc = ["musl", "1.2"]
print(json.dumps({
    "executable": os.path.realpath(sys.executable), "version": platform.python_version(), "pip": (pips or [None])[0],
    "pipNeedsMinor": int(requirement(pips[0])) if pips else 0,
    "implementation": platform.python_implementation(), "minor": list(sys.version_info[:2]),
    "isFreeThreaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "platform": {"machine": platform.machine(), "libc": libc, "python": "%d.%d" % sys.version_info[:2]},
}))
`

interface Probed {
  executable: string
  version: string
  implementation: string
  minor: [number, number]
  isFreeThreaded: boolean
  pip: string | null
  pipNeedsMinor: number
  platform: Platform
}

/** `wanted` ("3.11") is tried first; any Python 3.8 or later with venv will do, as it only runs pip. */
export async function findPython(wanted?: string): Promise<Python> {
  const names = [...(wanted ? [`python${wanted}`] : []), 'python3', 'python']
  const found: Probed[] = []
  for (const name of names) {
    const probed = await probe(name)
    if (probed && whyUseless(probed) === undefined) return { ...probed, pip: probed.pip ?? '' }
    if (probed) found.push(probed)
  }
  const [first] = found
  if (first) throw new UserError(whyUseless(first))
  throw new UserError(
    `no Python on this machine: looked for ${names.join(', ')} on the PATH. Install Python 3.8 or later, with venv.`,
  )
}

async function probe(name: string): Promise<Probed | undefined> {
  const { stdout, exitCode } = await execa(name, ['-I', '-c', PROBE], { reject: false, stdin: 'ignore' })
  if (exitCode !== 0) return undefined
  try {
    return JSON.parse(stdout)
  } catch {
    return undefined
  }
}

function whyUseless({
  executable,
  version,
  implementation,
  minor,
  isFreeThreaded,
  pip,
}: Probed): string | undefined {
  const what = `${executable} is ${implementation} ${version}`
  if (implementation !== 'CPython') return `${what}: bundles are made with CPython.`
  const [major, level] = minor
  if (major < 3 || level < 8) return `${what}: bundles need Python 3.8 or later.`
  if (isFreeThreaded)
    return `${what}, free-threaded: that needs wheels of its own, which bundles have not. Install the other kind.`
  if (pip) return undefined
  return `${what}, but lacks "venv" or "ensurepip", which carries the pip that makes bundles. Install it (Debian and Ubuntu: apt install python3-venv).`
}
