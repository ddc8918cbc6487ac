import { App, type AppProps } from 'aws-cdk-lib'

/** For who looks at the template only: its functions are not bundled, which takes seconds. */
export const templateApp = (props: AppProps = {}) =>
  new App({ ...props, context: { 'aws:cdk:bundling-stacks': [] } })
