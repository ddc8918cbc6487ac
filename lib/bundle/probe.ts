import { z } from 'zod'
import { UserError } from '../user-error.ts'
import { type Platform, platformName } from './platform.ts'

/** Runs on any Python 3 of a target, with nothing but its standard library. */
const PROGRAM = `import glob, json, os, platform, re, subprocess, sys, sysconfig
libc = ["macos", platform.mac_ver()[0]]
if sys.platform == "linux":
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION").split()
    except (AttributeError, OSError, ValueError):
        loader = subprocess.Popen(glob.glob("/lib/ld-musl-*")[:1], stderr=subprocess.PIPE)
        libc = ["musl", re.search("Version ([0-9.]+)", loader.communicate()[1].decode()).group(1)]
try:
    import venv
    has_venv = True
except ImportError:
    has_venv = False
print(json.dumps({
    "implementation": platform.python_implementation(), "version": platform.python_version(),
    "machine": platform.machine(), "bits": 64 if sys.maxsize > 2 ** 32 else 32, "libc": libc,
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")), "venv": has_venv,
}))`

const answer = z.object({
  implementation: z.string(),
  version: z.string(),
  machine: z.string().regex(/^\w+$/),
  bits: z.number(),
  libc: z.tuple([z.enum(['glibc', 'musl', 'macos']), z.string().regex(/^\d+\.\d+/)]),
  free_threaded: z.boolean(),
  venv: z.boolean(),
})
type Answer = z.infer<typeof answer>

/** For a shell on a target; `interpreter` is the Python that its apps will run on. */
export function probeCommand(interpreter = 'python3'): string {
  return `${interpreter} - <<'PROBE'\n${PROGRAM}\nPROBE`
}

/** What the command printed there, as a platform; a UserError where no bundle could be for that. */
export function readProbe(text: string): { name: string; platform: Platform } {
  const { version, machine, libc, ...rest } = parseAnswer(text)
  const why = whyUseless({ version, machine, libc, ...rest })
  if (why) throw new UserError(`no bundle is made for that target: ${why}`)
  const short = (long: string) => long.split('.').slice(0, 2).join('.')
  const platform: Platform = { machine, libc: [libc[0], short(libc[1])], python: short(version) }
  return { name: platformName(platform), platform }
}

function parseAnswer(text: string): Answer {
  // Around it may be what a session manager or a shell says; a terminal breaks it where its line ends.
  const line = text.replace(/\r?\n/g, '').match(/\{\s*"implementation".*?\}/)?.[0] ?? ''
  try {
    return answer.parse(JSON.parse(line))
  } catch (error) {
    throw new UserError(
      'that is not what the command of "pybundle probe" prints: a line that begins with {"implementation"',
      {
        cause: error,
      },
    )
  }
}

function whyUseless({
  implementation,
  version,
  bits,
  free_threaded: isFreeThreaded,
  venv,
}: Answer): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (implementation !== 'CPython') return `its Python is ${implementation}, and wheels are for CPython.`
  if (major < 3 || minor < 8) return `its Python is ${version}; the oldest that can be used is 3.8.`
  if (bits !== 64) return 'its Python has 32 bits.'
  if (isFreeThreaded) return 'its Python is free-threaded, which needs wheels of its own.'
  return venv ? undefined : `its Python has no "venv" module. Install it there.`
}
