import { readFileSync } from 'node:fs'

/** `KEY=value` lines as systemd's EnvironmentFile has them: comments, blank lines, values in quotes. */
export function readEnvFile(file: string): Record<string, string> {
  return parseEnvFile(readFileSync(file, 'utf8'))
}

export function parseEnvFile(text: string): Record<string, string> {
  const lines = text.split(/\r?\n/).map((line) => line.trim())
  const assignments = lines.filter((line) => line.includes('=') && !/^[#;]/.test(line))
  return Object.fromEntries(assignments.map(parseAssignment))
}

function parseAssignment(line: string): [string, string] {
  const equals = line.indexOf('=')
  const value = line.slice(equals + 1).trim()
  const quoted = /^(["'])(.*)\1$/.exec(value)
  return [line.slice(0, equals).trim(), quoted?.[2] ?? value]
}
