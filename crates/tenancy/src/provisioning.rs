//! Organisations, teams and members made from outside: by the administrator of an installation, or by a program that has a directory of
//! people of its own and keeps the CRM's members in step with it.
//!
//! Does not live here: what an organisation's own owners and admins do, which goes through [`crate::Members`] under their roles.
//! Must stay true: an administrator's connection is opened here, used for one transaction and closed; it is never in a pool, and no
//! request of a client reaches it. Nobody asks for the caller's role here, so whoever holds the address may do everything.
#![allow(clippy::disallowed_methods, reason = "fixed texts, all values bound, a few calls in the life of an organisation")]

use crm_kernel::{Error, OrganizationId, Result, Role, TeamId, UserId};
use diesel::{
    ExpressionMethods, QueryDsl, QueryableByName, sql_query,
    sql_types::{Nullable, Text, Uuid as SqlUuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::{connect, expect::error, members::MemberStatus, schema::memberships};

/// An organisation to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewOrganization<'a> {
    /// Name as shown.
    pub name: &'a str,
    /// Name in addresses; no other organisation has it.
    pub slug: &'a str,
    /// ISO 4217; sums are in this currency.
    pub default_currency: &'a str,
    /// IANA time zone.
    pub time_zone: &'a str,
}

/// A person. Who has an address that is known already stays who they are: name and password are then left alone.
#[derive(Debug, Clone, Copy)]
pub struct NewPerson<'a> {
    /// The address by which the person is one person in every organisation; case does not matter.
    pub email: &'a str,
    /// Name as shown.
    pub full_name: &'a str,
    /// From [`crate::passwords::hash`]. None for people who sign in elsewhere: the CRM's own login lets them
    /// in once they have set one by a letter, which whoever reads their mail can ask for.
    pub password_hash: Option<&'a str>,
}

/// A member to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewMember<'a> {
    /// Whom.
    pub person: NewPerson<'a>,
    /// As what.
    pub role: Role,
    /// Job title.
    pub title: Option<&'a str>,
    /// The member this one reports to.
    pub manager_id: Option<UserId>,
    /// The team, of the same organisation.
    pub team_id: Option<TeamId>,
}

impl<'a> NewMember<'a> {
    /// A member without title, manager and team.
    #[must_use]
    pub fn new(person: NewPerson<'a>, role: Role) -> Self {
        Self { person, role, title: None, manager_id: None, team_id: None }
    }
}

/// An organisation that was made, and its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Founded {
    /// The organisation.
    #[diesel(sql_type = SqlUuid)]
    pub organization_id: OrganizationId,
    /// Its first owner.
    #[diesel(sql_type = SqlUuid, column_name = "user_id")]
    pub owner_id: UserId,
}

#[derive(QueryableByName)]
struct AddedTeam {
    #[diesel(sql_type = SqlUuid)]
    team_id: TeamId,
}

#[derive(QueryableByName)]
struct AddedMember {
    #[diesel(sql_type = SqlUuid)]
    user_id: UserId,
}

/// A transaction of an administrator. [`Provisioning::commit`] keeps what was done; dropping it undoes all of it.
pub struct Provisioning {
    connection: AsyncPgConnection,
}

impl std::fmt::Debug for Provisioning {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Provisioning")
    }
}

impl Provisioning {
    /// Connects and begins. The address is that of the role that runs [`crate::migrations`].
    ///
    /// # Errors
    /// `Unavailable` when the database is away.
    pub async fn begin(admin_url: &str) -> Result<Self> {
        let mut connection = connect::establish(admin_url).await.map_err(Error::unavailable)?;
        connection.batch_execute("BEGIN").await.map_err(error)?;
        Ok(Self { connection })
    }

    /// Makes an organisation with its first owner.
    ///
    /// # Errors
    /// `Conflict` when the slug is taken; `Invalid` for a value that an organisation or person cannot have.
    pub async fn found(&mut self, new: &NewOrganization<'_>, owner: &NewPerson<'_>) -> Result<Founded> {
        let query = sql_query("SELECT organization_id, user_id FROM app.create_organization($1, $2, $3, $4, $5, $6, $7)")
            .bind::<Text, _>(new.name)
            .bind::<Text, _>(new.slug)
            .bind::<Text, _>(new.default_currency)
            .bind::<Text, _>(new.time_zone)
            .bind::<Text, _>(owner.email)
            .bind::<Text, _>(owner.full_name)
            .bind::<Nullable<Text>, _>(owner.password_hash);
        query.get_result(&mut self.connection).await.map_err(error)
    }

    /// Makes a team.
    ///
    /// # Errors
    /// `Invalid` when there is no such organisation or manager, or the name is empty.
    pub async fn add_team(&mut self, organization: OrganizationId, name: &str, manager: Option<UserId>) -> Result<TeamId> {
        let query = sql_query("SELECT app.add_team($1, $2, $3) AS team_id")
            .bind::<SqlUuid, _>(organization)
            .bind::<Text, _>(name)
            .bind::<Nullable<SqlUuid>, _>(manager);
        let added: AddedTeam = query.get_result(&mut self.connection).await.map_err(error)?;
        Ok(added.team_id)
    }

    /// Makes a member.
    ///
    /// # Errors
    /// `Conflict` when the person is a member already; `Invalid` when organisation, manager or team are not there.
    pub async fn add_member(&mut self, organization: OrganizationId, new: &NewMember<'_>) -> Result<UserId> {
        let NewMember { person, role, title, manager_id, team_id } = new;
        let query = sql_query("SELECT app.add_member($1, $2, $3, $4, $5, $6, $7, $8) AS user_id")
            .bind::<SqlUuid, _>(organization)
            .bind::<Text, _>(person.email)
            .bind::<Text, _>(person.full_name)
            .bind::<Text, _>(role.as_str())
            .bind::<Nullable<Text>, _>(title)
            .bind::<Nullable<SqlUuid>, _>(manager_id)
            .bind::<Nullable<SqlUuid>, _>(team_id)
            .bind::<Nullable<Text>, _>(person.password_hash);
        let added: AddedMember = query.get_result(&mut self.connection).await.map_err(error)?;
        Ok(added.user_id)
    }

    /// Gives a member another role; it counts from the member's next transaction on.
    ///
    /// # Errors
    /// `NotFound` when the person never was a member of the organisation.
    pub async fn change_role(&mut self, organization: OrganizationId, member: UserId, role: Role) -> Result<()> {
        let row = memberships::table.find((organization, member));
        let change = diesel::update(row).set(memberships::role.eq(role.as_str()));
        one_member(change.execute(&mut self.connection).await)
    }

    /// Lets a member in again, keeps one out for a while, or for good; it counts from the member's next transaction on.
    ///
    /// # Errors
    /// `NotFound` when the person never was a member of the organisation.
    pub async fn change_status(&mut self, organization: OrganizationId, member: UserId, status: MemberStatus) -> Result<()> {
        let row = memberships::table.find((organization, member));
        let change = diesel::update(row).set(memberships::status.eq(status.as_str()));
        one_member(change.execute(&mut self.connection).await)
    }

    /// Keeps what was done.
    ///
    /// # Errors
    /// When something was refused and the refusal was swallowed, or when the answer is lost: nothing may be reported as done then.
    pub async fn commit(mut self) -> Result<()> {
        // COMMIT on an aborted transaction rolls back without an error; the SELECT fails in that state, and COMMIT is not reached.
        self.connection.batch_execute("SELECT 1; COMMIT").await.map_err(error)
    }
}

fn one_member(changed: diesel::QueryResult<usize>) -> Result<()> {
    match changed.map_err(error)? {
        0 => Err(Error::NotFound("member")),
        _ => Ok(()),
    }
}
