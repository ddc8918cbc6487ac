import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Workshop } from './workshop.ts'

/** Stands in for systemd, which cannot be had in a test: its first process starts or ends the machine. */
const SYSTEMCTL = `#!/bin/sh
case $* in
*' restart '*) shift 2; echo "$@" >>restarted; sh restart.sh ;;
show*worker*) echo ActiveState=$([ -e current/dies ] && echo failed || echo active) ;;
show*) echo ActiveState=active ;;
esac
`

let workshop: Workshop
beforeAll(async () => {
  workshop = await Workshop.open('units')
})
afterAll(() => workshop.close())

describe('units', () => {
  it('are restarted, and all of them have to run, however well one of them answers', async () => {
    const target = await workshop.newServingTarget({ health_seconds: 2 })
    const folder = join(target.root, 'bin')
    mkdirSync(folder)
    const atHome = SYSTEMCTL.replaceAll('restarted', `${target.root}/restarted`)
      .replaceAll('restart.sh', `${target.root}/restart.sh`)
      .replaceAll('current/', `${target.home}/current/`)
    writeFileSync(join(folder, 'systemctl'), atHome)
    chmodSync(join(folder, 'systemctl'), 0o755)
    target.environment.PATH = `${folder}:${target.environment.PATH}`
    target.config = { ...target.config, restart_command: null, units: ['web.service', 'worker.service'] }
    const good = await workshop.publishApp()
    const first = await target.deploy(good)
    const second = await target.deploy(await workshop.publishApp({ files: { dies: '' } }), 2)

    expect(first.verdict).toMatchObject({ outcome: 'done', current: good.id })
    expect(second.verdict).toMatchObject({ outcome: 'reverted', current: good.id })
    expect(second.verdict.reason).toMatch(/answers, but worker.service has failed$/)
    expect(target.readFile('restarted')).toBe('web.service worker.service\n'.repeat(3))
  })
})
