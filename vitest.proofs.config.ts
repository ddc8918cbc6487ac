import { defineConfig } from 'vitest/config'

/**
 * Killed at 30 steps of each action, of which `npm test` takes 3: what fits into CI. Each step there is, with
 * PYBUNDLE_KILLS=all, takes the better part of an hour.
 */
export default defineConfig({
  test: {
    include: [
      'test/target/killed.test.ts',
      'test/target/together.test.ts',
      'test/rollout/checkpoints.test.ts',
    ],
    env: { PYBUNDLE_KILLS: process.env.PYBUNDLE_KILLS ?? '30' },
    testTimeout: 7_200_000,
    hookTimeout: 60_000,
    pool: 'forks',
  },
})
