import { each, type Input, type Keys, none, type OperationRule, type Resources, type ServiceActions, textAt, type Where } from "./table.ts";

const path = (input: Input) => textAt(input, "Path") ?? "/";

/** A thing that is being made: its path is known. */
const made =
  (type: string, member: string): Resources =>
  (input, { account }) => [`arn:aws:iam::${account}:${type}${path(input)}${textAt(input, member) ?? ""}`];

const boundary = (input: Input): Keys => ({ "iam:PermissionsBoundary": textAt(input, "PermissionsBoundary") });
const attached = (input: Input): Keys => ({ "iam:PolicyARN": textAt(input, "PolicyArn") });

const attach = (on: Resources): OperationRule => ({ on, keys: attached });
const bounded = (on: Resources): OperationRule => ({ on, keys: boundary });

const role = "role/{RoleName}";
const user = "user/{UserName}";
const group = "group/{GroupName}";
const profile = "instance-profile/{InstanceProfileName}";
const policy = "policy/{PolicyArn}";
const provider = "{OpenIDConnectProviderArn}";

/** Users whose name is left out are whoever asks. */
const own: Resources = (input: Input, { account, userName }: Where) => [
  `arn:aws:iam::${account}:user/${textAt(input, "UserName") ?? userName ?? "*"}`,
];

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Identity and Access Management". */
export const iam: ServiceActions = {
  prefix: "iam",
  regional: false,
  operations: {
    ...each(
      role,
      `DeleteRole DeleteRolePermissionsBoundary DeleteRolePolicy GetRole GetRolePolicy ListAttachedRolePolicies
      ListInstanceProfilesForRole ListRolePolicies ListRoleTags PutRolePolicy TagRole UntagRole UpdateAssumeRolePolicy UpdateRole
      UpdateRoleDescription DeleteServiceLinkedRole`,
    ),
    ...each(
      user,
      `AddUserToGroup DeleteUser DeleteUserPermissionsBoundary DeleteUserPolicy GetUserPolicy ListAttachedUserPolicies ListGroupsForUser
      ListUserPolicies ListUserTags PutUserPolicy TagUser UntagUser UpdateUser CreateLoginProfile DeleteLoginProfile`,
    ),
    ...each(
      own,
      `ChangePassword CreateAccessKey DeleteAccessKey UpdateAccessKey ListAccessKeys GetUser GetLoginProfile UpdateLoginProfile
      ListMFADevices ListSSHPublicKeys ListSigningCertificates ListServiceSpecificCredentials`,
    ),
    ...each(
      group,
      `CreateGroup DeleteGroup DeleteGroupPolicy GetGroup GetGroupPolicy ListAttachedGroupPolicies ListGroupPolicies PutGroupPolicy
      UpdateGroup AddUserToGroup RemoveUserFromGroup`,
    ),
    ...each(
      profile,
      `DeleteInstanceProfile GetInstanceProfile ListInstanceProfileTags RemoveRoleFromInstanceProfile TagInstanceProfile
      UntagInstanceProfile`,
    ),
    ...each(
      policy,
      `CreatePolicyVersion DeletePolicy DeletePolicyVersion GetPolicy GetPolicyVersion ListEntitiesForPolicy ListPolicyTags
      ListPolicyVersions SetDefaultPolicyVersion TagPolicy UntagPolicy`,
    ),
    ...each(
      provider,
      `AddClientIDToOpenIDConnectProvider DeleteOpenIDConnectProvider GetOpenIDConnectProvider ListOpenIDConnectProviderTags
      RemoveClientIDFromOpenIDConnectProvider TagOpenIDConnectProvider UntagOpenIDConnectProvider UpdateOpenIDConnectProviderThumbprint`,
    ),
    ...each(
      none,
      `CreateAccountAlias DeleteAccountAlias DeleteAccountPasswordPolicy GenerateCredentialReport GetAccountAuthorizationDetails
      GetAccountPasswordPolicy GetAccountSummary GetContextKeysForCustomPolicy GetCredentialReport GetServiceLinkedRoleDeletionStatus
      ListAccountAliases ListGroups ListInstanceProfiles ListOpenIDConnectProviders ListPolicies ListRoles ListSAMLProviders ListServerCertificates
      ListUsers ListVirtualMFADevices SimulateCustomPolicy UpdateAccountPasswordPolicy GetAccessKeyLastUsed SetSecurityTokenServicePreferences`,
    ),
    ...each("{PolicySourceArn}", "GetContextKeysForPrincipalPolicy SimulatePrincipalPolicy"),
    ...each("{Arn}", "GenerateServiceLastAccessedDetails"),
    AttachRolePolicy: attach(role),
    DetachRolePolicy: attach(role),
    AttachUserPolicy: attach(user),
    DetachUserPolicy: attach(user),
    AttachGroupPolicy: attach(group),
    DetachGroupPolicy: attach(group),
    PutRolePermissionsBoundary: bounded(role),
    PutUserPermissionsBoundary: bounded(user),
    CreateRole: { on: made("role", "RoleName"), keys: boundary, tagging: { action: "TagRole" } },
    CreateUser: { on: made("user", "UserName"), keys: boundary, tagging: { action: "TagUser" } },
    CreateGroup: made("group", "GroupName"),
    CreatePolicy: { on: made("policy", "PolicyName"), tagging: { action: "TagPolicy" } },
    CreateInstanceProfile: { on: made("instance-profile", "InstanceProfileName"), tagging: { action: "TagInstanceProfile" } },
    // Whoever puts a role into a profile hands it to the instances.
    AddRoleToInstanceProfile: {
      on: profile,
      also: (input, { account }) => [
        {
          action: "iam:PassRole",
          resources: [`arn:aws:iam::${account}:role/${textAt(input, "RoleName") ?? ""}`],
          account,
          keys: { "iam:PassedToService": "ec2.amazonaws.com" },
        },
      ],
    },
    CreateServiceLinkedRole: {
      on: (input, { account }) => [`arn:aws:iam::${account}:role/aws-service-role/${textAt(input, "AWSServiceName") ?? ""}/*`],
      keys: (input) => ({ "iam:AWSServiceName": textAt(input, "AWSServiceName") }),
    },
    CreateOpenIDConnectProvider: {
      on: (input, { account }) => [
        `arn:aws:iam::${account}:oidc-provider/${(textAt(input, "Url") ?? "").replace(/^https?:\/\//, "").replace(/\/$/, "")}`,
      ],
      tagging: { action: "TagOpenIDConnectProvider" },
    },
  },
};
