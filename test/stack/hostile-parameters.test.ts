import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { App, Stack } from 'aws-cdk-lib'
import { Template } from 'aws-cdk-lib/assertions'
import { execa } from 'execa'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseFleets } from '../../lib/config/fleets.ts'
import { commandParameters, PARAMETERS } from '../../lib/release/command.ts'
import { parseVerdict } from '../../lib/release/verdict.ts'
import { eachPart } from '../../lib/stack/program-documents.ts'
import { TargetDocument } from '../../lib/stack/target-document.ts'
import { type DocumentResult, runDocument } from '../../local/targets/run-document.ts'
import { resolved } from './resolved.ts'

const PROGRAM = join(import.meta.dirname, '../../target/pybundle_target.py')

type Name = keyof typeof PARAMETERS
const NAMES = Object.keys(PARAMETERS) as Name[]
const VALID = commandParameters({
  action: 'status',
  release: '0123456789ab',
  digests: { bundle: '0'.repeat(64), code: '1'.repeat(64) },
  token: 7,
  rollout: '20261122t101500z-0123abcd',
})
/** There once a shell has run something of a value. */
const MARK = join(mkdtempSync(join(tmpdir(), 'pybundle-mark-')), 'ran')
const RUN = `touch ${MARK}`

const SHELL = [
  `$(${RUN})`,
  `\`${RUN}\``,
  `"; ${RUN}; "`,
  `'; ${RUN}; '`,
  `"$(${RUN})"`,
  `; ${RUN}`,
  `&& ${RUN} &`,
  `| ${RUN}`,
  `\n${RUN}\n`,
  `\r\n${RUN}\r\n`,
  `"; fi; ${RUN}; if [ "x`,
  `x}; ${RUN}; fi; ${RUN}; #`,
  `'several lines'; ${RUN}`,
  `<<PYBUNDLE_TARGET\n${RUN}`,
  `>${MARK}`,
  `$$(${RUN})`,
]
const OTHER = [
  '"',
  "'",
  '`',
  '\\',
  '$(',
  '${',
  '{{ action }}',
  '{{action}}',
  '{{ ssm:/secret }}',
  '-e',
  '--help',
  '-c import os',
  '../..',
  '%00',
  '\\x00',
  ' ',
  ' status',
  '\t',
  '\n',
  '\u2028',
  '\u202estatus',
  '０１２３',
  '١٢٣',
  'ſtatus',
  'ＳＴＡＴＵＳ',
  '😀',
  '\ud800',
  'a'.repeat(60_000),
  '9'.repeat(60_000),
]
const HOSTILE = [...SHELL, ...OTHER]
const NUL = `status\u0000$(${RUN})`

const [fleet] = parseFleets(readFileSync('fleets.toml', 'utf8'), 'fleets.toml')
if (!fleet) throw new Error('fleets.toml has no fleet')
const stack = new Stack(new App(), 'Stack')
const programs = eachPart((part) => ({ document: part, sha256: '0'.repeat(64) }))
const ofNobody = { ...fleet, user: 'nobody' }
new TargetDocument(stack, 'Document', {
  fleet: ofNobody,
  bucketName: 'bucket',
  region: 'us-east-1',
  programs,
})
const [document] = Object.values(Template.fromStack(stack).findResources('AWS::SSM::Document'))
const content = resolved<{ parameters: Record<Name, { allowedPattern?: string }> }>(
  document?.Properties.Content,
)
/** As if nobody had looked at a pattern. */
const unguarded = {
  ...content,
  parameters: Object.fromEntries(
    Object.entries(content.parameters).map(([name, { allowedPattern: _, ...rest }]) => [name, rest]),
  ),
}

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pybundle-hostile-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
  rmSync(MARK, { force: true })
})
afterAll(() => rmSync(dirname(MARK), { recursive: true }))

interface Asked {
  document?: object
  values: Partial<Record<Name, string>>
  isOldAgent?: boolean
}

/** The document's own step, as a target runs it: `sh -c`, and the real program. */
async function runStep({ document = unguarded, values, isOldAgent = false }: Asked): Promise<DocumentResult> {
  const valid = Object.fromEntries(Object.entries(VALID).map(([name, [value]]) => [name, value]))
  return runDocument({
    content: document,
    parameters: { ...valid, ...values },
    folder,
    environment: { PATH: process.env.PATH ?? '', PYBUNDLE_ROOT: folder },
    knowsEnvironmentParameters: !isOldAgent,
    cancelled: new AbortController().signal,
  })
}

const everywhere = (text: string) => Object.fromEntries(NAMES.map((name) => [name, text]))

/** Java's own `$` stands before a last newline too, so that the API may let one pass; the agent's does not. */
describe('the pattern of each parameter', () => {
  it.each(NAMES)('%s is of what both RE2 and Java read alike', (name) => {
    const atom = String.raw`(?:[a-z-]|\[(?:0-9|0-9a-f)\](?:\{\d+(?:,\d+)?\})?)`
    const both = new RegExp(String.raw`^\^(?:${atom}|\(${atom}+(?:\|${atom}+)*\)\??)+\$$`)
    expect(PARAMETERS[name].pattern).toMatch(both)
  })

  it.each(NAMES)('%s takes what it is for, and none of the hostile strings, alone or around it', (name) => {
    const pattern = new RegExp(PARAMETERS[name].pattern)
    const [valid = ''] = VALID[name] ?? []
    expect(valid).toMatch(pattern)
    for (const hostile of HOSTILE)
      for (const text of [hostile, `${valid}${hostile}`, `${hostile}${valid}`, `${valid}\n${hostile}`])
        expect(text).not.toMatch(pattern)
  })

  it.each(titled(HOSTILE))('refuses %j before the first step is run', async (_, hostile) => {
    for (const name of NAMES) {
      const { status, steps, trace } = await runStep({ document: content, values: { [name]: hostile } })
      expect({ status, steps }).toEqual({ status: 'Failed', steps: [] })
      expect(trace).toContain('AllowedRegexParamValidator')
    }
  })
})

it('the program refuses each of them in each parameter by itself', async () => {
  const pairs = NAMES.flatMap((name) => HOSTILE.map((text) => [name, text.toWellFormed()]))
  const ask = [
    'import json, runpy, sys',
    'program = runpy.run_path(sys.argv[1])',
    'def refuses(name, text):',
    '  try: program["read_command"]({"SSM_" + name: text})',
    '  except program["Refused"] as refused: return str(refused).startswith(name + " is not")',
    '  return False',
    'print(json.dumps([pair for pair in json.load(sys.stdin) if not refuses(*pair)]))',
  ]
  const input = JSON.stringify(pairs)
  const { stdout } = await execa('python3', ['-I', '-c', ask.join('\n'), PROGRAM], { input })
  expect(JSON.parse(stdout)).toEqual([])
})

describe.each([
  ['as environment variables', false],
  ['as text', true],
] as const)('without the patterns, and the values given %s', (_, isOldAgent) => {
  it('the step does what it is told', async () => {
    const { steps } = await runStep({ values: {}, isOldAgent })
    expect(verdictOf(steps)).toMatchObject({ action: 'status', outcome: 'done' })
  })

  const expectRefused = ({ steps }: DocumentResult) => {
    expect(verdictOf(steps)).toMatchObject({
      outcome: 'refused',
      reason: expect.stringMatching(/^action is/),
    })
    expect(steps).toMatchObject([{ code: 3 }])
    expect(existsSync(MARK)).toBe(false)
    expect(readdirSync(folder)).toEqual(['target'])
  }

  it.each(titled(SHELL))(
    'the step runs nothing of %j in any parameter, and is refused',
    async (_, hostile) => {
      expectRefused(await runStep({ values: everywhere(hostile), isOldAgent }))
    },
  )

  it.each(sixAtATime(OTHER))(
    'so is each of the others, in a parameter of its own (%#)',
    async (...hostile) => {
      const values = Object.fromEntries(NAMES.map((name, index) => [name, hostile[index] ?? '"']))
      expectRefused(await runStep({ values, isOldAgent }))
    },
  )

  it.each(NAMES)('the program refuses %s by its name', async (name) => {
    const { steps } = await runStep({ values: { [name]: `$(${RUN})` }, isOldAgent })
    expect(verdictOf(steps)).toMatchObject({ outcome: 'refused', reason: `${name} is not "$(${RUN})"` })
  })

  it('nothing behind a NUL is run', async () => {
    const { steps } = await runStep({ values: everywhere(NUL), isOldAgent })
    expect(steps).toHaveLength(1)
    expect(existsSync(MARK)).toBe(false)
  })

  it('nothing but the pattern holds against who spells the last line of the here-document', async () => {
    const end = `x\nPYBUNDLE_PARAMETER\nfi\n${RUN}\nif true; then cat <<'PYBUNDLE_PARAMETER'`
    await runStep({ values: { action: end }, isOldAgent })
    // Here too where both are done; whether a new agent still substitutes the text nobody could try.
    expect(existsSync(MARK)).toBe(true)
    expect(end).not.toMatch(new RegExp(PARAMETERS.action.pattern))
  })
})

const titled = (texts: readonly string[]) => texts.map((text) => [text.slice(0, 60), text] as const)

function sixAtATime(texts: readonly string[]): string[][] {
  return texts.flatMap((_, index) => (index % 6 === 0 ? [texts.slice(index, index + 6)] : []))
}

const verdictOf = ([step]: DocumentResult['steps']) => parseVerdict(step?.standardOutput ?? '')
