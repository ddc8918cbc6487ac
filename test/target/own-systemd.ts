import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Readable } from 'node:stream'

const SYSTEMD = ['/usr/lib/systemd/systemd', '/lib/systemd/systemd'].find((path) => existsSync(path))
const CGROUPS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find((path) =>
  existsSync(join(path, 'cgroup.procs')),
)

/** Would otherwise touch what is not ours: systemd-tmpfiles empties /tmp. */
const MASKED = [
  'sysinit.target',
  'basic.target',
  'systemd-tmpfiles-setup.service',
  'systemd-tmpfiles-setup-dev.service',
  'systemd-tmpfiles-clean.service',
  'systemd-tmpfiles-clean.timer',
  'systemd-remount-fs.service',
]

/**
 * A systemd of its own as the first process of its own namespaces. It sees this machine's files read-only,
 * has its own /tmp, /run and /var/tmp, and may write in `folder` alone.
 */
export class OwnSystemd {
  readonly #units: string
  readonly #cgroup: string
  readonly #folder: string
  #pid = 0

  constructor(folder: string) {
    this.#folder = folder
    this.#units = join(folder, 'units')
    this.#cgroup = join(CGROUPS ?? '', basename(folder))
    mkdirSync(this.#units)
    for (const unit of MASKED) symlinkSync('/dev/null', join(this.#units, unit))
    const wants = 'Wants=systemd-journald.socket systemd-journald.service'
    this.writeUnit('own.target', `[Unit]\nDefaultDependencies=no\n${wants}\n`)
  }

  writeUnit(name: string, content: string): void {
    writeFileSync(join(this.#units, name), content)
  }

  async start(): Promise<void> {
    mkdirSync(this.#cgroup)
    const folders = ['--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev']
    for (const path of ['/tmp', '/run', '/var/tmp']) folders.push('--tmpfs', path)
    folders.push('--bind', this.#folder, this.#folder, '--ro-bind', this.#units, '/etc/systemd/system')
    folders.push('--bind', this.#cgroup, '/sys/fs/cgroup')
    const own = ['--unshare-pid', '--unshare-cgroup', '--unshare-ipc', '--unshare-uts', '--as-pid-1']
    const options = [...own, '--cap-add', 'ALL', '--setenv', 'container', 'bwrap', '--die-with-parent']
    const systemd = [SYSTEMD ?? '', '--system', '--unit=own.target', '--show-status=no']
    const script = 'echo $$ >"$0/cgroup.procs" && exec bwrap --info-fd 3 "$@"'
    const child: ChildProcess = spawn(
      'sh',
      ['-c', script, this.#cgroup, ...folders, ...options, ...systemd],
      {
        stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      },
    )
    const [info] = await once(child.stdio[3] as Readable, 'data')
    this.#pid = Number(/"child-pid": (\d+)/.exec(String(info))?.[1])
    const deadline = Date.now() + 10_000
    while (this.run('systemctl', 'is-active', 'own.target').trim() !== 'active') {
      if (Date.now() > deadline) throw new Error('systemd did not start in its namespace within 10 s')
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  /** What to put before a command that runs beside it. */
  get prefix(): string[] {
    return ['nsenter', '-t', String(this.#pid), '-p', '-m', '-C', '-i', '-u']
  }

  run(...command: string[]): string {
    const [nsenter = '', ...args] = [...this.prefix, ...command]
    return spawnSync(nsenter, args, { encoding: 'utf8' }).stdout
  }

  /** All processes of the namespace end with its first. */
  async stop(): Promise<void> {
    if (this.#pid) process.kill(this.#pid, 'SIGKILL')
    const deadline = Date.now() + 10_000
    while (existsSync(this.#cgroup)) {
      try {
        removeGroups(this.#cgroup)
      } catch (error) {
        if (Date.now() > deadline) throw error
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }
}

function removeGroups(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeGroups(join(folder, entry.name))
  }
  rmdirSync(folder)
}

/** Why there can be none here. */
export function whyNoSystemd(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root'
  if (!SYSTEMD) return 'no systemd'
  if (!CGROUPS) return 'no cgroup v2'
  const group = join(CGROUPS, `pybundle-can-${process.pid}`)
  try {
    mkdirSync(group)
    rmdirSync(group)
  } catch {
    return 'cgroups are read-only'
  }
  const bwrap = ['--ro-bind', '/', '/', '--proc', '/proc', '--unshare-pid', '--unshare-cgroup', 'true']
  return spawnSync('bwrap', bwrap).status === 0 ? undefined : 'bwrap cannot make namespaces'
}
