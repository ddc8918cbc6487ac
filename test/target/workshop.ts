import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { filesAsTarGz, type PublishedRelease, publishRelease, type ReleaseParts } from './artifacts.ts'
import { type BucketAndMetadata, startBucketAndMetadata } from './bucket-and-metadata.ts'
import { closeNamespace, freePort, stopApp, TestTarget } from './target.ts'

export interface AppOptions {
  /** Lines of `[tool.pybundle]`. */
  settings?: string[]
  files?: Record<string, string>
  /** What the app answers on its health page. */
  status?: number
  /** What it logs as it starts. */
  says?: string
}

/** A folder of its own with a bucket, releases to put there, and targets to deploy them to. */
export class Workshop {
  readonly folder: string
  readonly bucket: BucketAndMetadata
  readonly #targets: TestTarget[] = []

  static async open(name: string): Promise<Workshop> {
    const folder = mkdtempSync(join(tmpdir(), `pybundle-${name}-`))
    return new Workshop(folder, await startBucketAndMetadata(join(folder, 'cloud')))
  }

  constructor(folder: string, bucket: BucketAndMetadata) {
    this.folder = folder
    this.bucket = bucket
  }

  async newTarget(config?: Record<string, unknown>): Promise<TestTarget> {
    const target = await TestTarget.make(
      join(this.folder, `target-${this.#targets.length}`),
      this.bucket,
      config,
    )
    this.#targets.push(target)
    return target
  }

  /** A target with an app of its own: a server that the restart command ends and starts. */
  async newServingTarget(config?: Record<string, unknown>): Promise<TestTarget> {
    const port = await freePort()
    const target = await this.newTarget({ health_passes: 1 })
    const script = join(target.root, 'restart.sh')
    writeFileSync(script, restartScript(target))
    Object.assign(target.config, {
      restart_command: `sh ${script}`,
      env_file: '/etc/guestbook.env',
      health_url: `http://127.0.0.1:\${PORT}`,
      ...config,
    })
    target.writeFile('etc/guestbook.env', `# the app's address\nPORT="${port}"\nSECRET=tea\n`)
    return target
  }

  async publish(files: Record<string, string>, more: Partial<ReleaseParts> = {}): Promise<PublishedRelease> {
    const parts = { code: await filesAsTarGz(files), ...more }
    return publishRelease(this.bucket, join(this.folder, 'artifacts'), parts)
  }

  publishApp({ settings = [], files = {}, status = 200, says = 'hello' }: AppOptions = {}, more = {}) {
    return this.publish(
      { 'pyproject.toml': project(settings), 'serve.py': server(status, says), ...files },
      more,
    )
  }

  async close(): Promise<void> {
    for (const target of this.#targets) stopApp(target)
    await closeNamespace()
    await this.bucket.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export function project(settings: string[] = []): string {
  return ['[tool.pybundle]', 'app = "guestbook"', ...settings, ''].join('\n')
}

/**
 * Keeps its own output out of ours, as a restart command that starts a daemon ought to. The process id stands beside the
 * target's folder, whose files a test may cut short: half a number would be another process.
 */
function restartScript({ home, appPid }: TestTarget): string {
  return `
cd ${home}
[ ! -f ${appPid} ] || kill -9 "$(cat ${appPid})" 2>/dev/null
[ -L current ] || exit 0
cd -P current
. ../../../../../etc/guestbook.env
PORT=$PORT ./.venv/bin/python -u serve.py >>${home}/log/web.log 2>&1 </dev/null &
echo $! >${appPid}
`
}

export function server(status: number, says: string): string {
  return `
import alpha, http.server, os, time
print(${JSON.stringify(says)}, flush=True)

class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(${status})
        self.send_header("X-Release", os.path.basename(os.getcwd()))
        self.end_headers()
        self.wfile.write(b"pid %d" % os.getpid())

while True:
    try:
        http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Health).serve_forever()
    except OSError:
        time.sleep(0.05)  # the one before has not let go of the port yet
`
}
