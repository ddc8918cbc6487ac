import { defineConfig } from 'vitest/config'

/** Killed at each step of each action, of which `npm test` takes a sample. */
export default defineConfig({
  test: {
    include: ['test/target/killed.test.ts', 'test/target/together.test.ts'],
    env: { PYBUNDLE_KILLS: 'all' },
    testTimeout: 7_200_000,
    hookTimeout: 60_000,
    pool: 'forks',
  },
})
