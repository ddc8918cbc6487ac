import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import type { Platform } from '../lib/bundle/platform.ts'
import { pipEnvironment } from '../lib/bundle/resolve/pip.ts'
import { isNewer } from '../lib/bundle/verify/elf.ts'
import { findInterpreter } from './find-interpreter.ts'

export interface Installation {
  bundle: string
  /** For the virtualenv. */
  folder: string
  interpreter: string
  proof: string
}

/** The interpreter with which this machine is like the platform; else why there is none. */
export function interpreterFor(
  platform: Platform,
  laptop: Platform,
): { interpreter: string } | { why: string } {
  const [libc, version] = platform.libc
  if (platform.machine !== laptop.machine) return { why: `this machine is ${laptop.machine}` }
  if (libc !== laptop.libc[0]) return { why: `this machine has ${laptop.libc[0]}` }
  if (isNewer(version, laptop.libc[1])) return { why: `this machine has ${laptop.libc.join(' ')}` }
  const interpreter = findInterpreter(platform.python)
  return interpreter ? { interpreter } : { why: `python${platform.python} is not on this machine` }
}

/**
 * As a person would on a machine without pip: unzip, make a virtualenv, install, use it. In a network namespace of its
 * own, without any network, where the system lets us have one: whether it did is the answer.
 */
export async function installBundle({ bundle, folder, interpreter, proof }: Installation): Promise<boolean> {
  mkdirSync(folder, { recursive: true })
  const namespace = ['--map-root-user', '--net']
  const isCutOff = (await execa('unshare', [...namespace, 'true'], { reject: false })).exitCode === 0
  const env = pipEnvironment(process.env, false)
  const run = (program: string, args: readonly string[]) =>
    isCutOff
      ? execa('unshare', [...namespace, program, ...args], { cwd: folder, env, extendEnv: false })
      : execa(program, args, { cwd: folder, env, extendEnv: false })
  await run(interpreter, ['-m', 'zipfile', '-e', bundle, '.'])
  await run(interpreter, ['-m', 'venv', '--without-pip', 'venv'])
  const python = join(folder, 'venv', 'bin', 'python')
  const pip = join('tools', readdirSync(join(folder, 'tools'))[0] ?? '', 'pip')
  const options = ['--no-index', '--find-links=wheels', '--require-hashes', '--only-binary=:all:']
  await run(python, [pip, 'install', ...options, '-r', 'requirements.txt'])
  await run(python, [pip, 'check'])
  await run(python, ['-I', '-c', proof])
  return isCutOff
}
