import { Annotations, type Stack, Token } from 'aws-cdk-lib'

/** AWS has published no whole list of where durable functions are; its own pages name these (2026-11). */
const KNOWN = ['us-east-1', 'us-east-2', 'us-west-2', 'eu-west-1', 'ap-southeast-1']

/** `deployedTo`: what a stack that is bound to no region is deployed to by whoever synthesizes it, where that is known. */
export function warnOfRegion(stack: Stack, deployedTo: string | undefined): void {
  const region = Token.isUnresolved(stack.region) ? deployedTo : stack.region
  if (!region || KNOWN.includes(region)) return
  Annotations.of(stack).addWarningV2(
    'pybundle-deploy:durable-functions',
    `Rollouts need Lambda durable functions, which are not known to be in ${region} (known: ${KNOWN.join(', ')}). See whether Lambda's console offers them there before you deploy.`,
  )
}
