import { findPython, type Python } from '../../lib/bundle/find-python.ts'

let found: Promise<Python> | undefined

/** The Python of these tests, asked once. */
export function thisPython(): Promise<Python> {
  found ??= findPython()
  return found
}
