import { readlinkSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Workshop } from './workshop.ts'

let workshop: Workshop
beforeAll(async () => {
  workshop = await Workshop.open('activate')
})
afterAll(() => workshop.close())

describe('activate', () => {
  it('switches, restarts, and proves that the new release answers', async () => {
    const target = await workshop.newServingTarget()
    const release = await workshop.publishApp()

    const { verdict, exitCode, seconds, progress } = await target.deploy(release)
    console.log(verdict, exitCode, seconds, progress)

    expect([verdict.outcome, verdict.current, exitCode]).toEqual(['done', release.id, 0])
    expect(readlinkSync(target.path('current'))).toBe(`releases/${release.id}`)
  })
})
