import { resolve } from '../../local/template/intrinsics.ts'

const PSEUDO = { 'AWS::AccountId': '123456789012', 'AWS::Region': 'us-east-1', 'AWS::Partition': 'aws' }

/** Properties of a resource that refers to no other, as CloudFormation would fill them in. */
export function resolved<T>(properties: unknown): T {
  return resolve(properties, { resources: new Map(), pseudo: PSEUDO }) as T
}
