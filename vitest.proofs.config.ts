import { defineConfig } from 'vitest/config'
import { LongestFirst } from './test/longest-first.ts'

/** Killed, cut off and full at each step there is of each action, of which `npm test` takes a few; and rollouts as large and as long as they may be. */
export default defineConfig({
  test: {
    include: [
      'test/target/{killed,power-cut,disk-full,together}.test.ts',
      'test/rollout/{checkpoints-*,random-walk,large-fleet,operations,throttled}.test.ts',
      'test/e2e/*.proof.ts',
    ],
    env: {
      POWERTOOLS_LOG_LEVEL: 'SILENT',
      PYBUNDLE_KILLS: process.env.PYBUNDLE_KILLS ?? 'all',
      PYBUNDLE_WALKS: process.env.PYBUNDLE_WALKS ?? '10',
      PYBUNDLE_FLEET: process.env.PYBUNDLE_FLEET ?? '2400',
    },
    testTimeout: 7_200_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 3, // of which one or the other waits for an app to answer
    sequence: { sequencer: LongestFirst },
  },
})
