import { z } from 'zod'
import { fleetPolicy } from '../lib/release/fleet.ts'

const environment = z.object({
  BUCKET: z.string(),
  ROLLOUT_FUNCTION: z.string().default(''),
  ROLLOUT_ALIAS: z.string().default('live'),
  FLEET_FUNCTION: z.string().default(''),
  FAILED_STARTS_QUEUE: z.string().default(''),
  /**
   * Written into the bundle at synthesis, since Lambda's own variables end at 4 KB; a running rollout so
   * also ends under the policy that it began with.
   */
  PYBUNDLE_FLEETS: z.string().transform((text) => z.array(fleetPolicy).parse(JSON.parse(text))),
})

export function functionEnvironment() {
  const { PYBUNDLE_FLEETS: fleets, ...names } = environment.parse({
    ...process.env,
    PYBUNDLE_FLEETS: process.env.PYBUNDLE_FLEETS,
  })
  return {
    bucket: names.BUCKET,
    rolloutFunction: names.ROLLOUT_FUNCTION,
    rolloutAlias: names.ROLLOUT_ALIAS,
    fleetFunction: names.FLEET_FUNCTION,
    failedStartsQueue: names.FAILED_STARTS_QUEUE,
    fleets,
  }
}
