import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import {
  bubblewrapWorks,
  scriptDocument,
  startTargetCloud,
  TARGET,
  type TargetCloud,
  until,
} from './target-cloud.ts'

let cloud: TargetCloud

afterEach(() => cloud.stop())

describe.each(['none', 'bwrap'] as const)('a target (sandbox: %s)', (sandbox) => {
  const onlyWhere = test.skipIf(sandbox === 'bwrap' && !bubblewrapWorks())

  onlyWhere('serves the current release once it is told to restart', async () => {
    cloud = await startTargetCloud(sandbox)
    layRelease('aaaaaaaaaaaa')
    expect(await cloud.run('supervisor restart')).toMatchObject({ Status: 'Success' })
    expect(await (await fetch(cloud.target.url)).text()).toBe('aaaaaaaaaaaa hello')
  })

  onlyWhere('ends with all that it started, and starts again with all that it had', async () => {
    cloud = await startTargetCloud(sandbox)
    layRelease('aaaaaaaaaaaa')
    const orphan = `setsid env -i /bin/sleep 71.${process.pid} >/dev/null 2>&1 &`
    const marked = `setsid sleep 72.${process.pid} >/dev/null 2>&1 </dev/null &`
    await cloud.run([
      'supervisor restart',
      marked,
      `(${orphan} sleep 73.${process.pid}) >/dev/null 2>&1 &`,
      'true',
    ])
    await until(() => processesNamed(`sleep 7.\\.${process.pid}`) === 3)
    await cloud.target.stop()
    expect(processesNamed(`sleep 7.\\.${process.pid}`)).toBe(0)
    await expect(fetch(cloud.target.url)).rejects.toThrow()
    await cloud.startAgain()
    expect(await (await fetch(cloud.target.url)).text()).toBe('aaaaaaaaaaaa hello')
  })

  onlyWhere('says of a command in which it died that it failed, and runs it no second time', async () => {
    cloud = await startTargetCloud(sandbox)
    cloud.ssm.putDocument({
      name: 'long',
      content: scriptDocument(`echo x >>"$PYBUNDLE_ROOT/var/runs"; sleep 74`),
    })
    const commandId = await cloud.send('long')
    await until(() => existsSync(join(cloud.root, 'var/runs')))
    await cloud.target.kill()
    await cloud.startAgain()
    const { Status, StandardErrorContent } = await cloud.invocation(commandId)
    expect(Status).toBe('Failed')
    expect(StandardErrorContent).toContain('document process failed unexpectedly')
    expect(readFileSync(join(cloud.root, 'var/runs'), 'utf8')).toBe('x\n')
  })
})

test('has a new agent when its agent was killed, which tells the end of what that one had begun', async () => {
  cloud = await startTargetCloud('none')
  const { Status, StandardErrorContent } = await cloud.run('kill -9 $(ps -o ppid= -p $PPID)')
  expect(Status).toBe('Failed')
  expect(StandardErrorContent).toContain('document process failed unexpectedly')
  expect((await cloud.run('true')).Status).toBe('Success')
})

test('has a new supervisor when its supervisor was killed', async () => {
  cloud = await startTargetCloud('none')
  layRelease('aaaaaaaaaaaa')
  await cloud.run('supervisor stop')
  await until(() =>
    fetch(cloud.target.url).then(
      ({ ok }) => ok,
      () => false,
    ),
  )
})

test('runs an association when it joins, and again only for another version', async () => {
  cloud = await startTargetCloud('none')
  const put = (word: string) =>
    cloud.ssm.putDocument({
      name: 'catch-up',
      content: scriptDocument(`echo ${word} >>"$PYBUNDLE_ROOT/var/caught-up"`),
    })
  const runs = () => {
    const file = join(cloud.root, 'var/caught-up')
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
  }
  await cloud.target.stop()
  put('first')
  cloud.ssm.putAssociation({
    documentName: 'catch-up',
    parameters: {},
    targets: [{ Key: 'tag:app', Values: ['guestbook'] }],
    scheduleExpression: 'rate(30 minutes)',
  })
  await cloud.startAgain()
  await until(() => runs().length === 1)
  await until(() => existsSync(join(cloud.root, 'var/lib/amazon/ssm', TARGET, 'associations.json')))
  await cloud.target.stop()
  await cloud.startAgain()
  await cloud.run('true')
  await cloud.target.stop()
  put('second')
  await cloud.startAgain()
  await until(() => runs().length > 1)
  expect(runs()).toEqual(['first', 'second'])
})

test('says which address is in use', async () => {
  cloud = await startTargetCloud('none')
  await cloud.target.stop()
  const other = createServer().listen(Number(new URL(cloud.target.url).port), '127.0.0.1')
  await once(other, 'listening')
  await expect(cloud.startAgain()).rejects.toThrow(/cannot listen on 127.0.0.1:\d+: .*EADDRINUSE/)
  other.close()
})

const APP = `
import http.server, os, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write((os.path.basename(os.getcwd()) + " " + os.environ["GREETING"]).encode())
server = http.server.HTTPServer(("", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
server.serve_forever()
`

function layRelease(id: string): void {
  const app = join(cloud.root, 'opt/pybundle/guestbook')
  const release = join(app, 'releases', id)
  mkdirSync(release, { recursive: true })
  writeFileSync(join(release, 'app.py'), APP)
  writeFileSync(join(release, 'Procfile'), 'web: python3 app.py\n')
  symlinkSync(`releases/${id}`, join(app, 'current'))
}

function processesNamed(pattern: string): number {
  const table = execFileSync('ps', ['-A', '-o', 'stat=,args='], { encoding: 'utf8' })
  return table.split('\n').filter((line) => new RegExp(`^[^Z]\\S*\\s+\\S*${pattern}`).test(line)).length
}
